{#- Who may do what with what is another's: docs/security.md has it as a table, which
    tests/test_roles.py tries out. -#}
{% macro rights() -%}
    {%- set raw = of_the_loader('read_responses').schema -%}
    {%- set built = graph.nodes['model.label_refinery.published_images'].schema -%}
    {%- set catalog = var('catalog_schema') -%}
    {%- set responses = [] -%}
    {%- set stores = [] -%}
    {%- for labeller in var('labellers') -%}
        {%- do responses.append(labeller ~ '_responses') -%}
        {%- do stores.append('int_' ~ labeller ~ '_labels') -%}
    {%- endfor -%}
    {%- set published = ['published_images', 'safe_images'] -%}
    {%- set evidence = ['confidence_distribution', 'group_disparity', 'image_set_outliers', 'label_agreement',
        'label_examples', 'label_gallery', 'label_gallery_documents', 'label_model_changes', 'label_model_versions',
        'label_parents', 'label_precision', 'labelling_capacity', 'threshold_evaluation'] -%}
    {%- set of_the_page = ['int_label_counts', 'int_label_policy_in_force', 'reviewed_labels', 'sensitive_labels'] -%}
    {%- set rights = [] -%}
    {%- for role, verbs, schema, relations in [
        ('refresher', ['select'], raw, responses + ['loaded_files', 'loaded_chunks', 'forgotten_responses',
            'released_responses', 'response_ids']),
        ('refresher', ['select', 'insert', 'update'], raw, ['read_responses']),
        ('refresher', ['select'], catalog, [var('catalog_table')]),
        ('reviewer', ['select'], built, published + evidence + of_the_page + ['tag_decisions',
            'labels', 'unreviewed_labels', 'label_summary', 'label_retention', 'policy_history']),
        ('reader', ['select'], built, published),
        ('writer', ['select'], built, stores + ['catalog_images', 'published_images']),
        ('writer', ['select', 'update'], catalog, [var('catalog_table')]),
    ] -%}
        {%- for relation in relations -%}
            {%- for verb in verbs -%}
                {%- do rights.append({
                    'role': var('roles')[role], 'verb': verb, 'schema': schema, 'relation': relation
                }) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(rights) }}
{%- endmacro %}

{% macro owners_of_schemas() -%}
    {%- set roles = var('roles') -%}
    {{ return({
        of_the_loader('read_responses').schema: roles.loader,
        graph.nodes['model.label_refinery.published_images'].schema: roles.refresher,
        'tag_writes': roles.writer,
    }) }}
{%- endmacro %}

{#- No quote in it ends what is quoted so. -#}
{% macro in_sql(value) -%}
    $json${{ tojson(value) }}$json$::jsonb
{%- endmacro %}

{#- In the transaction that makes the relation, so that no reader is refused, and by one query, as many as
    dbt's own takes: what one makes who is but a member of the refresher is the refresher's too. -#}
{% macro put_rights_in_order(relation, grants) -%}
    {%- set wanted = [] -%}
    {%- for verb, names in (grants or {}).items() -%}
        {%- for name in ([names] if names is string else names) -%}
            {%- do wanted.append({'verb': verb, 'named': name}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for right in rights() if right.schema == relation.schema and right.relation == relation.identifier -%}
        {%- do wanted.append({'verb': right.verb, 'role': right.role}) -%}
    {%- endfor -%}
    {%- set changes = run_query(changed_rights(relation, wanted, revokes=grants)) -%}
    {%- if changes -%}
        {%- do run_query(changes.columns[0].values() | join('; ')) -%}
    {%- endif -%}
{%- endmacro %}

{% macro changed_rights(relation, wanted, revokes) -%}
    with relation as (
        select
            class.oid::regclass as name,
            class.relowner,
            class.relacl,
            pg_get_userbyid(namespace.nspowner) as schema_owner
        from pg_class as class
        inner join pg_namespace as namespace on namespace.oid = class.relnamespace
        where class.oid = '{{ relation }}'::regclass
    ),
    held as (
        select
            lower(acl.privilege_type) as verb,
            case when acl.grantee = 0 then 'public' else acl.grantee::regrole::text end as role
        from relation
        cross join lateral aclexplode(relation.relacl) as acl
        where acl.grantee <> relation.relowner
    ),
    wanted as (
        select
            lower(wanted.verb) as verb,
            case lower(wanted.named) when 'public' then 'public' else wanted.named::regrole::text end as role
        from jsonb_to_recordset({{ in_sql(wanted) }}) as wanted (verb text, named text)
        where wanted.named is not null
        union
        select wanted.verb, pg_roles.oid::regrole::text
        from jsonb_to_recordset({{ in_sql(wanted) }}) as wanted (verb text, role text)
        inner join pg_roles on pg_roles.rolname = wanted.role
        inner join relation on relation.relowner <> pg_roles.oid
    )
    {% if revokes -%}
        select format('revoke %s on %s from %s', surplus.verb, relation.name, surplus.role)
        from relation
        cross join (select * from held except select * from wanted) as surplus
        union all
    {%- endif %}
    select format('grant %s on %s to %s', lacking.verb, relation.name, lacking.role)
    from relation
    cross join (select * from wanted except select * from held) as lacking
    union all
    select format('alter table %s owner to %I', relation.name, relation.schema_owner)
    from relation
    where
        pg_get_userbyid(relation.relowner) <> relation.schema_owner
        and relation.schema_owner = {{ in_sql(var('roles').refresher) }} #>> '{}'
{%- endmacro %}

{#- For our incremental models and seeds; a project that has us as a package keeps dbt's for its own. -#}
{% macro postgres__apply_grants(relation, grant_config, should_revoke=True) -%}
    {%- if model.package_name == 'label_refinery' -%}
        {%- do put_rights_in_order(relation, grant_config) -%}
    {%- else -%}
        {%- do dbt.default__apply_grants(relation, grant_config, should_revoke) -%}
    {%- endif -%}
{%- endmacro %}

{% macro give_to_refresher(function) -%}
    {%- set changes = run_query(
        "select format('alter routine %s owner to %I', proc.oid::regprocedure, pg_roles.rolname)"
        ~ " from pg_proc as proc"
        ~ " inner join pg_namespace as namespace on namespace.oid = proc.pronamespace"
        ~ " inner join pg_roles on pg_roles.oid = namespace.nspowner and pg_roles.oid <> proc.proowner"
        ~ " where proc.oid = '" ~ function ~ "'::regprocedure"
        ~ " and pg_roles.rolname = " ~ in_sql(var('roles').refresher) ~ " #>> '{}'"
    ) -%}
    {%- if changes -%}
        {%- do run_query(changes[0][0]) -%}
    {%- endif -%}
{%- endmacro %}
