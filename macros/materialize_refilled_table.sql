{% materialization refilled_table, adapter='postgres' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set table = this.incorporate(type='table') -%}
    {%- set is_refilled = existing is not none and existing.is_table and has_columns(existing, sql) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing is not none and not is_refilled -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- if config.get('contract').enforced -%}
        {%- do get_assert_columns_equivalent(sql) -%}
    {%- endif -%}

    {%- call statement('main') -%}
        {% if is_refilled -%}
            {#- The lock first, so that of two runs the second reads what the first has stored. Then all
                rows on the side: `insert` by itself would use one process. -#}
            {%- set rows = make_temp_relation(this) -%}
            lock table {{ table }} in share row exclusive mode;
            create temporary table {{ rows }} on commit drop as (
                {{ sql }}
            );
            {{ refill(table, rows) }}
        {%- else -%}
            create {{ 'unlogged' if config.get('unlogged') }} table {{ table }} as (
                {{ sql }}
            );
        {%- endif %}
        {{ replicate(table) }}
    {%- endcall -%}

    {%- do put_rights_in_order(table, config.get('grants')) -%}
    {%- do persist_docs(table, model) -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [table]}) }}
{%- endmaterialization %}

{% macro has_columns(table, sql) -%}
    {%- set columns = adapter.get_columns_in_relation(table) | map(attribute='name') | sort -%}
    {{ return(columns == get_columns_in_query(sql) | sort) }}
{%- endmacro %}

{% macro refill(table, rows) -%}
    {%- set columns = adapter.get_columns_in_relation(table) | map(attribute='quoted') | join(', ') -%}
    lock table {{ table }} in share row exclusive mode;
    delete from {{ table }};
    insert into {{ table }} ({{ columns }}) select {{ columns }} from {{ rows }};
{%- endmacro %}
