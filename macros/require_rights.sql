{#- Or the first model that misses one would say which, and not what to do, and others would be built. -#}
{% macro require_rights() -%}
    {%- if execute and flags.WHICH in ('run', 'build', 'seed') -%}
        {%- set missing = run_query(rights_that_dbt_lacks()).columns[0].values() -%}
        {%- if missing -%}
            {{ exceptions.raise_compiler_error(
                "The role " ~ target.user ~ " lacks " ~ missing[:3] | join('; ')
                ~ ("; and " ~ (missing | length - 3) ~ " more" if missing | length > 3 else "")
                ~ ". dbt has to run as a member of " ~ var('roles').refresher
                ~ ", which `dbt run-operation create_roles` gives its rights; see docs/security.md."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro rights_that_dbt_lacks() -%}
    {%- set published = graph.nodes['model.label_refinery.published_images'] -%}
    with needed as (
        select needed.verb, namespace.oid as in_schema, class.oid as relation
        from jsonb_to_recordset({{ in_sql(rights()) }})
            as needed (role text, verb text, "schema" text, relation text)
        inner join pg_namespace as namespace on namespace.nspname = needed.schema
        inner join pg_class as class on class.relnamespace = namespace.oid and class.relname = needed.relation
        where needed.role = {{ in_sql(var('roles').refresher) }} #>> '{}'
    )
    select distinct 'USAGE on the schema ' || in_schema::regnamespace
    from needed
    where not has_schema_privilege(in_schema, 'usage')
    union all
    select string_agg(upper(verb), ', ') || ' on ' || relation::regclass
    from needed
    where not has_table_privilege(relation, verb)
    group by relation
    union all
    select 'membership in ' || relowner::regrole || ', which owns ' || oid::regclass
    from pg_class
    where
        relnamespace = to_regnamespace('{{ adapter.quote(published.schema) }}')
        and relname = '{{ published.alias }}'
        and not pg_has_role(relowner, 'usage')
{%- endmacro %}
