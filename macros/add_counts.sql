{#- Adds counts, which may be below 0, to those of the table. Of all counts nothing is read if nothing has
    changed. -#}
{% macro get_incremental_add_counts_sql(arguments) -%}
    {%- set counts = arguments.target_relation -%}
    {%- set changes = ref('int_label_changes') -%}
    delete from {{ counts }}
    where exists (select 1 from {{ changes }} where store is null);
    -- On the side, as Citus ends the server where it joins them to a table's places.
    create temporary table changed_labels on commit drop as
    select distinct identifier, provider from {{ changes }};
    -- An example may have the label no more, or has it still and is added again.
    with examples as (
        select counts.ctid as place, example.identifier, changed.identifier is null as stays
        from {{ counts }} as counts
        cross join unnest(counts.example_identifiers) as example (identifier)
        left join changed_labels as changed
            on example.identifier = changed.identifier and counts.provider is not distinct from changed.provider
        where exists (select from changed_labels)
    ),
    remaining as (
        select place, coalesce(array_agg(identifier order by identifier) filter (where stays), '{}') as identifiers
        from examples group by place having not bool_and(stays)
    )
    update {{ counts }} as counts set example_identifiers = remaining.identifiers
    from remaining where counts.ctid = remaining.place;
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') %}
    insert into {{ counts }} as counts ({{ columns }})
    select {{ columns }} from {{ arguments.temp_relation }}
    on conflict (is_correction, counted_by, provider, label, accuracy) do update
    set
        counted = counts.counted + excluded.counted,
        counted_exactly = counts.counted_exactly + excluded.counted_exactly,
        accuracy_sum = counts.accuracy_sum + excluded.accuracy_sum,
        example_identifiers = {{ function('merge_smallest_three') }}(
            counts.example_identifiers, excluded.example_identifiers
        );
    delete from {{ counts }}
    where counted = 0 and coalesce(accuracy_sum, 0) = 0 and exists (select from changed_labels);
{%- endmacro %}
