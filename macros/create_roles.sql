{#- One transaction: a right that is missing ends it. -#}
{% macro create_roles() -%}
    {%- if execute -%}
        {%- do run_query("begin") -%}
        {%- do run_changes(missing_roles()) -%}
        {%- set changed = run_changes(missing_rights()) -%}
        {%- do run_query("commit") -%}
        {%- do print(
            "Roles: " ~ var('roles').values() | unique | join(', ') ~ ". "
            ~ (changed ~ " owners and rights changed." if changed else "All is as it should be.")
        ) -%}
    {%- endif -%}
{%- endmacro %}

{% macro run_changes(query) -%}
    {%- set changes = run_query(query) -%}
    {%- set missing = changes.columns['missing'].values() | select | unique | list -%}
    {%- if missing -%}
        {{ exceptions.raise_compiler_error(
            "create_roles has done nothing: " ~ target.user ~ " lacks " ~ missing[:5] | join(', ')
            ~ (" and " ~ (missing | length - 5) ~ " more" if missing | length > 5 else "")
            ~ ". Run it as a role that has them; a superuser is not needed."
        ) }}
    {%- endif -%}
    {%- set statements = changes.columns['statement'].values() -%}
    {%- if statements -%}
        {%- do run_query(statements | join('; ')) -%}
    {%- endif -%}
    {{ return(statements | length) }}
{%- endmacro %}

{#- To give an owner something takes membership, which from Postgres 16 on CREATEROLE is not. -#}
{% macro missing_roles() -%}
    with wanted as (
        select name, bool_or(part in ('loader', 'refresher', 'writer')) as is_owner
        from jsonb_each_text({{ in_sql(var('roles')) }}) as named (part, name)
        group by 1
    ),
    me as (
        select
            *,
            rolsuper or rolcreaterole as makes_roles,
            rolsuper
            or rolcreaterole and current_setting('server_version_num')::integer < 160000 as grants_any
        from pg_roles
        where rolname = current_user
    )
    select
        1 as step,
        format('create role %I nologin', wanted.name) as statement,
        case when not me.makes_roles then 'CREATEROLE to make ' || quote_ident(wanted.name) end as missing
    from wanted
    cross join me
    where to_regrole(quote_ident(wanted.name)) is null
    union all
    select
        2,
        format('grant %I to %I', wanted.name, me.rolname),
        case
            when pg_roles.oid is not null and not me.grants_any
                and not pg_has_role(pg_roles.oid, 'usage with admin option')
                then 'ADMIN OPTION on the role ' || quote_ident(wanted.name)
        end
    from wanted
    cross join me
    left join pg_roles on pg_roles.rolname = wanted.name
    where wanted.is_owner and not me.rolsuper and not coalesce(pg_has_role(pg_roles.oid, 'usage'), false)
    order by 1
{%- endmacro %}

{#- What of owners and rights is not as it should be, of what is there by now. -#}
{% macro missing_rights() -%}
    with schemas as (
        select namespace.oid, namespace.nspname, namespace.nspowner, namespace.nspacl, pg_roles.oid as owner
        from jsonb_each_text({{ in_sql(owners_of_schemas()) }}) as wanted ("schema", role)
        inner join pg_namespace as namespace on namespace.nspname = wanted.schema
        inner join pg_roles on pg_roles.rolname = wanted.role
    ),
    wanted as (
        select
            pg_roles.oid as role,
            namespace.oid as in_schema,
            class.oid as relation,
            wanted.verb
        from jsonb_to_recordset({{ in_sql(rights()) }})
            as wanted (role text, verb text, "schema" text, relation text)
        inner join pg_roles on pg_roles.rolname = wanted.role
        inner join pg_namespace as namespace on namespace.nspname = wanted.schema
        inner join pg_class as class on class.relnamespace = namespace.oid and class.relname = wanted.relation
    ),
    owned as (
        select 1 as step, format('schema %I', nspname) as object, nspowner as is_of, owner
        from schemas
        union all
        -- `alter table` is for views and sequences too; a column's sequence goes with its table.
        select 2, format('table %s', class.oid::regclass), class.relowner, schemas.owner
        from pg_class as class
        inner join schemas on schemas.oid = class.relnamespace
        where
            class.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            and not exists (
                select from pg_depend
                where classid = 'pg_class'::regclass and objid = class.oid and deptype in ('a', 'i')
                and class.relkind = 'S'
            )
        union all
        select 2, format('routine %s', proc.oid::regprocedure), proc.proowner, schemas.owner
        from pg_proc as proc
        inner join schemas on schemas.oid = proc.pronamespace
    ),
    held as (
        select 'schema ' || quote_ident(schemas.nspname) as object, acl.*, schemas.nspowner as is_of, schemas.owner
        from schemas
        cross join lateral aclexplode(schemas.nspacl) as acl
        where
            not exists (
                select from wanted
                where wanted.in_schema = schemas.oid and wanted.role = acl.grantee and acl.privilege_type = 'USAGE'
            )
        union all
        select class.oid::regclass::text, acl.*, class.relowner, schemas.owner
        from schemas
        inner join pg_class as class on class.relnamespace = schemas.oid
        cross join lateral aclexplode(class.relacl) as acl
        where
            not exists (
                select from wanted
                where
                    wanted.relation = class.oid
                    and wanted.role = acl.grantee
                    and upper(wanted.verb) = acl.privilege_type
            )
    ),
    changes as (
        select
            owned.step,
            format('alter %s owner to %s', owned.object, owned.owner::regrole) as statement,
            case
                when not pg_has_role(owned.is_of, 'usage')
                    then format('ownership of %s (which is %s''s)', owned.object, owned.is_of::regrole)
                when owned.step = 1 and not has_database_privilege(current_database(), 'create')
                    then format('CREATE on the database %I', current_database())
            end as missing
        from owned
        where owned.is_of <> owned.owner
        union all
        select
            3,
            format('revoke %s on %s from %s', held.privilege_type, held.object, held.grantee::regrole),
            null
        from held
        inner join pg_roles on pg_roles.oid = held.grantee
        where
            held.grantee not in (held.is_of, held.owner)
            and pg_roles.rolname in (select value from jsonb_each_text({{ in_sql(var('roles')) }}))
        union all
        select distinct
            4,
            format('grant usage on schema %s to %s', in_schema::regnamespace, role::regrole),
            case
                when not has_schema_privilege(in_schema, 'usage with grant option')
                    then format('USAGE on the schema %s with grant option', in_schema::regnamespace)
            end
        from wanted
        where not has_schema_privilege(role, in_schema, 'usage')
        union all
        select
            5,
            format('grant %s on %s to %s', verb, relation::regclass, role::regrole),
            case
                when not has_table_privilege(relation, verb || ' with grant option')
                    then format('%s on %s with grant option', upper(verb), relation::regclass)
            end
        from wanted
        where not has_table_privilege(role, relation, verb)
        union all
        -- Everybody has it, unless it was taken from them.
        select
            6,
            format('grant temporary on database %I to %s', current_database(), pg_roles.oid::regrole),
            case
                when not has_database_privilege(current_database(), 'temporary with grant option')
                    then format('TEMPORARY on the database %I with grant option', current_database())
            end
        from jsonb_each_text({{ in_sql(owners_of_schemas()) }}) as wanted ("schema", role)
        inner join pg_roles on pg_roles.rolname = wanted.role
        where not has_database_privilege(pg_roles.oid, current_database(), 'temporary')
    )
    select statement, missing from changes order by step, statement
{%- endmacro %}
