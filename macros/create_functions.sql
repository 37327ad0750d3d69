{#- The functions that the models use, in the target schema. Made on-run-start, because unit tests
    need them before there is any model. Views call them at once, so that they are made anew by any
    `dbt run` or `build`, and by others only where there are none: `dbt test` or `dbt seed` of a
    changed project must not put its rules in force. The lock, because of two runs at once Postgres
    would refuse one. -#}
{% macro create_functions() -%}
    {%- set one_of_them = target.schema ~ '.store_label_policy()' -%}
    {%- if flags.WHICH in ('run', 'build') or not has_function(one_of_them) -%}
        select pg_advisory_xact_lock(hashtext('{{ target.schema }}.create_functions'));
        {{ create_extract_labels() }}
        {{ create_catalog_labels() }}
        {{ create_merged_tags() }}
        {{ create_decided_tags() }}
        {{ create_published_tags() }}
        {{ create_sensitivity() }}
        {{ create_smallest_three() }}
        {{ create_mean() }}
        {{ create_store_label_policy() }}
    {%- endif -%}
{%- endmacro %}

{% macro has_function(signature) -%}
    {%- if execute -%}
        {%- set found = run_query("select to_regprocedure('" ~ signature ~ "') is not null") -%}
        {{ return(found[0][0]) }}
    {%- endif -%}
{%- endmacro %}

{#- A call of the function below. -#}
{% macro extract_labels(labels, corrections) -%}
    {{ target.schema }}.extract_labels({{ labels }}, {{ corrections }})
{%- endmacro %}

{#- From the labels of a response to two arrays in the same order: the names, trimmed and corrected,
    and the exact accuracies from 0 to 1. Of a name that is there twice the higher accuracy stays.

    A loop in a function, as in macros/image_tags.sql. -#}
{% macro create_extract_labels() -%}
    create or replace function {{ target.schema }}.extract_labels(
        labels jsonb, corrections jsonb, out names text[], out accuracies numeric[]
    )
    language plpgsql immutable parallel safe cost 1000
    as $$
    declare
        label jsonb;
        name text;
        confidence numeric;
        accuracy numeric;
        earlier integer;
    begin
        names := '{}';
        accuracies := '{}';
        for place in 0 .. jsonb_array_length(labels) - 1 loop
            label := labels -> place;
            name := {{ label_name('label') }};
            confidence := {{ label_confidence('label') }};
            continue when not {{ is_good_label('name', 'confidence') }};
            name := coalesce(corrections ->> name, name);
            accuracy := trim_scale(confidence * 0.01);
            earlier := array_position(names, name);
            if accuracies[earlier] < accuracy then
                names := names[:earlier - 1] || names[earlier + 1:];
                accuracies := accuracies[:earlier - 1] || accuracies[earlier + 1:];
                earlier := null;
            end if;
            if earlier is null then
                names := names || name;
                accuracies := accuracies || accuracy;
            end if;
        end loop;
    end
    $$;
{%- endmacro %}

{#- An aggregate that keeps the three smallest of many uuids in the memory of three: array_agg would
    hold every image of a label to show three of them. -#}
{% macro create_smallest_three() -%}
    create or replace function {{ target.schema }}.keep_smallest_three(kept uuid[], another uuid)
    returns uuid[]
    language plpgsql immutable parallel safe
    as $$
    begin
        if another is null or kept[3] <= another or another = any(kept) then
            return kept;
        end if;
        return (array(select item from unnest(kept || another) as item order by item))[:3];
    end
    $$;
    create or replace function {{ target.schema }}.merge_smallest_three(kept uuid[], others uuid[])
    returns uuid[]
    language plpgsql immutable parallel safe
    as $$
    begin
        -- Of most labels, which are reviewed, nothing is kept.
        if others = '{}' then
            return kept;
        end if;
        return (array(select distinct item from unnest(kept || others) as item order by item))[:3];
    end
    $$;
    create or replace aggregate {{ target.schema }}.smallest_three(uuid) (
        sfunc = {{ target.schema }}.keep_smallest_three,
        combinefunc = {{ target.schema }}.merge_smallest_three,
        stype = uuid[],
        initcond = '{}',
        parallel = safe
    );
{%- endmacro %}

{#- The mean of those in an array that are not null; null if there are none. -#}
{% macro create_mean() -%}
    create or replace function {{ target.schema }}.mean(accuracies numeric[]) returns numeric
    language plpgsql immutable parallel safe
    as $$
    declare
        accuracy numeric;
        total numeric = 0;
    begin
        accuracies := array_remove(accuracies, null);
        foreach accuracy in array accuracies loop
            total := total + accuracy;
        end loop;
        return total / nullif(cardinality(accuracies), 0);
    end
    $$;
{%- endmacro %}

{#- Puts the policy of all seeds in force at once, see macros/store_label_policy.sql. -#}
{% macro create_store_label_policy() -%}
    create or replace function {{ target.schema }}.store_label_policy() returns void
    language plpgsql
    as $$
    begin
        {{ empty_label_policy(ref('int_label_policy')) }}
        insert into {{ ref('int_label_policy') }} select * from {{ ref('int_folded_label_policy') }};
    end
    $$;
{%- endmacro %}
