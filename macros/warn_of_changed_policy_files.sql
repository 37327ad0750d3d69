{#- dbt knows each seed's file by a checksum. The one that was seeded stands in the table's comment, where it
    comes and goes with the rows. -#}
{% macro note_seeded_file() -%}
    comment on table {{ this }} is {{ postgres_escape_comment(
        model.description | trim ~ "\nSeeded from a file with this checksum: " ~ model.checksum.checksum
    ) }}
{%- endmacro %}

{% macro warn_of_changed_policy_files() -%}
    {%- set changed = [] -%}
    {%- for seed in graph.nodes.values() if seed.resource_type == 'seed' and 'label_policy' in seed.fqn -%}
        {%- set comment = run_query(
            "select obj_description(to_regclass('" ~ adapter.quote(seed.schema) ~ "." ~ seed.alias ~ "'))"
        )[0][0] -%}
        {%- if comment and 'checksum: ' in comment and seed.checksum.checksum not in comment -%}
            {%- do changed.append(seed.name ~ ".csv") -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if changed -%}
        {%- do exceptions.warn(
            "Warning: " ~ changed | sort | join(", ") ~ (" has" if changed | length == 1 else " have")
            ~ " changed since `dbt seed`, which makes an edit live"
        ) -%}
    {%- endif -%}
{%- endmacro %}
