{% macro label_store(labeller) -%}
{{ config(materialized='label_store', labeller=labeller) }}
{%- set format = var('labellers')[labeller] %}
-- depends_on: {{ ref('int_label_changes') }}

with

responses as not materialized (
    select * from {{ ref('stg_' ~ labeller ~ '__responses') }}
),

{% if adds_to_store() %}
    marked as not materialized (
        select stored.identifier from {{ this }} as stored
        where stored.response_id < 0
    ),
{% endif %}

new_responses as (
    select *
    from responses
    where
        problem is null
        {% if adds_to_store() %}
            and response_id > (select coalesce(max(done.response_id), 0) from {{ this }} as done)
        {% endif %}
        and response_id <= (select {{ last_settled_response_id() }})
    {% if adds_to_store() %}
        union all
        -- Of marked images, what is left of their responses. All responses are read for it, but
        -- only if an image is marked: Postgres asks `exists` first.
        select responses.*
        from responses
        where
            problem is null
            and response_id <= (select {{ last_settled_response_id() }})
            and exists (select 1 from marked)
            and identifier in (select marked.identifier from marked)
    {% endif %}
),

labelled as (
    select
        response.identifier,
        '{{ labeller }}' as provider,
        found.names,
        found.accuracies,
        response.label_model_version,
        response.response_id
    from new_responses as response
    cross join
        lateral {{ function('response_labels') }}(
            response.labels,
            '{{ format.name }}',
            '{{ format.confidence }}',
            1 / {{ format.highest }}::numeric,
            'strict $[*]."{{ format.name }}" ? (@ >= "!")',
            'strict $[*]."{{ format.confidence }}" ? (@ >= 0 && @ <= {{ format.highest }})'
        ) as found
    {% if not goes_from_worker_to_worker() %}
        -- So that arrays are sorted below. Else Postgres may sort the documents, and take labels out
        -- of them in one process: 8.0 s instead of 5.4. It leaves no row out.
        offset 0 -- noqa: AM09
    {% endif %}
),

latest as (
    {% if goes_from_worker_to_worker() %}
        -- All of an image; the last of them is found where they have come together.
        select * from labelled
    {% else %}
        select distinct on (identifier) *
        from labelled
        order by identifier asc, response_id desc
    {% endif %}
)

select * from latest
{%- endmacro %}

{% macro adds_to_store() -%}
    {{ return(execute and load_cached_relation(this) is not none and not should_full_refresh()) }}
{%- endmacro %}

{#- What is added to a store goes by way of the coordinator: it is little. -#}
{% macro goes_from_worker_to_worker() -%}
    {{ return(var('is_distributed') and not adds_to_store()) }}
{%- endmacro %}

{% materialization label_store, adapter='postgres' -%}
    {%- set labeller = config.get('labeller') -%}
    {%- set store = this.incorporate(type='table') -%}
    {%- set adds = adds_to_store() -%}
    {%- set is_there = load_cached_relation(this) is not none -%}
    {%- set table = make_intermediate_relation(store) if is_there and not adds else store -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('begun', fetch_result=True) -%}
        set local parallel_setup_cost = 0;
        set local parallel_tuple_cost = 0;
        {% if is_there -%}
            {#- So that of two runs at once the second sees what the first has stored. -#}
            lock table {{ store }} in share row exclusive mode;
        {%- endif %}
        {{ settle_responses() }}
        select {{ last_read_response_id(store, labeller) }}, {{ last_settled_response_id() }}
    {%- endcall -%}
    {%- set last_read, last_settled = load_result('begun')['data'][0] -%}
    {%- set reads_all = not adds or last_read is none -%}
    {%- if reads_all -%}
        {%- do refuse_to_lose_released(labeller) -%}
    {%- endif -%}
    {%- if var('is_distributed') -%}
        {#- The workers do not know the setting. -#}
        {%- set sql = sql | replace('(select ' ~ last_settled_response_id() ~ ')', last_settled) -%}
    {%- endif -%}

    {%- call statement('main') -%}
        {% if adds -%}
            {{ distribute(store) }}
            {%- set new = make_temp_relation(this) -%}
            {%- set columns = 'identifier, provider, names, accuracies, label_model_version, response_id' -%}
            {{ mark_forgotten_images(store, labeller) }}
            create temporary table {{ new }} on commit drop as (
                {{ sql }}
            );
            insert into {{ new }} (identifier, provider)
            select identifier, provider from {{ store }} where response_id < 0
            except
            select identifier, provider from {{ new }};
            {{ replace_labels(store, new, columns) }}
        {%- else -%}
            {{ create_store(table, sql) }}
            {#- In a block, where each has a text of its own: that is what Citus hands on. #}
            do $create_indexes$
            begin
                create unique index on {{ table }} (identifier);
                create index on {{ table }} (response_id);
            end
            $create_indexes$;
            analyze {{ table }};
            {{ note_that_all_labels_change() }}
            {% if is_there %}{{ change_over(store, table) }}{% endif %}
        {%- endif %}
        {{ note_what_is_read(store, labeller) }}
    {%- endcall -%}
    {%- if reads_all -%}
        {#- Or one was released before ours was read; what is released from then on we have. -#}
        {%- do refuse_to_lose_released(labeller) -%}
    {%- endif -%}

    {%- do put_rights_in_order(store, config.get('grants')) -%}
    {#- A refresh leaves them: where nothing is new it takes 0.31 s a store with them, 0.23 without. -#}
    {%- if not adds or flags.WHICH == 'build' -%}
        {%- do persist_docs(store, model) -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [store]}) }}
{%- endmaterialization %}

{% macro create_store(table, sql) -%}
    {%- if var('is_distributed') -%}
        create table {{ table }} as (
            {{ sql }}
        ) with no data;
        {{ distribute(table) }}
        insert into {{ table }} (
            {{ sql }}
        );
        delete from {{ table }} as earlier using {{ table }} as later
        where earlier.identifier = later.identifier and earlier.response_id < later.response_id;
    {%- else -%}
        create table {{ table }} as (
            {{ sql }}
        );
    {%- endif -%}
{%- endmacro %}

{#- To drop a table drops the views on it, for a moment or, if they are somebody's own, for good. A
    reader locks views before what they read; so does this, or one might wait for the other. Unlike
    `lock table`, which goes on to all that a view reads, `owner to` locks the view alone. -#}
{% macro change_over(old, new) -%}
    {{ one_at_a_time(old.incorporate(path={'identifier': 'int_machine_labels'})) }}
    do $change_over$
    declare
        views regclass[] = array(
            select distinct rule.ev_class::regclass
            from pg_depend as dependence
            inner join pg_rewrite as rule on rule.oid = dependence.objid
            inner join pg_class as view on view.oid = rule.ev_class
            where
                dependence.classid = 'pg_rewrite'::regclass
                and dependence.refclassid = 'pg_class'::regclass
                and dependence.refobjid = '{{ old }}'::regclass
                and view.relkind = 'v'
            order by 1
        );
        definitions text[];
    begin
        loop
            begin
                -- Shorter than deadlock_timeout, so that of us and a reader we are who gives way.
                perform set_config('lock_timeout', '500ms', true);
                for place in 1 .. cardinality(views) loop
                    execute format(
                        'alter view %s owner to %s',
                        views[place],
                        (select relowner::regrole from pg_class where oid = views[place])
                    );
                    definitions[place] := (
                        select
                            format(
                                'create or replace view %s %s as %s',
                                views[place],
                                'with (' || array_to_string(reloptions, ', ') || ')',
                                pg_get_viewdef(oid)
                            )
                        from pg_class
                        where oid = views[place]
                    );
                end loop;
                alter table {{ old }} rename to {{ adapter.quote(old.identifier ~ '__old') }};
                exit;
            -- Somebody reads, who must not keep others waiting behind us: they go first.
            exception when lock_not_available or deadlock_detected then
                perform pg_sleep(0.5);
            end;
        end loop;
        perform set_config('lock_timeout', '0', true);
        alter table {{ new }} rename to {{ adapter.quote(old.identifier) }};
        for place in 1 .. cardinality(views) loop
            execute definitions[place];
        end loop;
        drop table {{ old.incorporate(path={'identifier': old.identifier ~ '__old'}) }};
    end
    $change_over$;
{%- endmacro %}
