{#- Chunks are committed in any order, so below the highest response_id that can be seen others may
    still be on their way; a run that went by the highest would never read them. Each loading
    transaction holds this advisory lock in shared mode, see loader/ledger.py. Taking it alone for a
    moment waits for them, so that every id handed out until then is settled; loads go on at once,
    and what they bring is the next run's. -#}
{% macro settle_responses() -%}
    {%- set responses = source('rekognition', 'rekognition_responses') -%}
    select pg_advisory_lock('{{ responses }}'::regclass::bigint);
    select set_config(
        'label_refinery.last_settled_response_id',
        (select last_value from {{ responses.schema }}.response_ids)::text,
        true
    );
    select pg_advisory_unlock('{{ responses }}'::regclass::bigint);
    {%- if var('is_distributed') %}
        {{ wait_for_workers_to_commit() }}
    {%- endif %}
{%- endmacro %}

{#- What the coordinator has committed, and a worker that crashed then has not: Citus sees to it, in about a
    minute. -#}
{% macro wait_for_workers_to_commit() -%}
    do $wait$
    begin
        while exists (
            select 1
            from run_command_on_workers(
                'select coalesce(array_agg(gid), ''{}'') from pg_prepared_xacts'
            ) as worker
            inner join pg_dist_transaction as committed on committed.gid = any (worker.result::text[])
            where worker.success
        ) loop
            perform pg_sleep(1);
        end loop;
    end
    $wait$;
{%- endmacro %}

{% macro last_settled_response_id() -%}
    coalesce(
        nullif(current_setting('label_refinery.last_settled_response_id', true), '')::bigint,
        9223372036854775807
    )
{%- endmacro %}
