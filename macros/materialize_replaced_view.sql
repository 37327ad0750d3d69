{% materialization replaced_view, adapter='postgres' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set view = this.incorporate(type='view') -%}
    {%- set contract = config.get('contract') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing is not none and not existing.is_view -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- if contract and contract.enforced -%}
        {%- do get_assert_columns_equivalent(sql) -%}
    {%- endif -%}

    {%- call statement('main') -%}
        {{ one_at_a_time(this) }}
        do $replace_view$
        begin
            create or replace view {{ view }} as (
                {{ sql }}
            );
        exception when invalid_table_definition then
            drop view {{ view }} cascade;
            create view {{ view }} as (
                {{ sql }}
            );
        end
        $replace_view$
    {%- endcall -%}

    {%- do put_rights_in_order(view, config.get('grants')) -%}
    {%- do persist_docs(view, model) -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [view]}) }}
{%- endmaterialization %}
