{#- The loader cannot know: it reads no labels. Of the files since the refresh before this one; of a good
    file one response is read. A query for each, with its chunks written out, is found by the index, and
    on Citus by the workers. -#}
{% macro warn_of_another_labellers_files() -%}
    {%- set refreshes = ref('refreshes') -%}
    {%- set responses = {} -%}
    {%- for labeller in var('labellers') -%}
        {%- do responses.update({labeller: ref('stg_' ~ labeller ~ '__responses')}) -%}
    {%- endfor -%}
    {%- set files -%}
        select
            file.labeller,
            file.name,
            min(chunk.chunk_id) as first_chunk_id,
            max(chunk.chunk_id) as last_chunk_id,
            array_agg(chunk.chunk_id)::text as chunk_ids
        from {{ of_the_loader('loaded_files') }} as file
        inner join {{ of_the_loader('loaded_chunks') }} as chunk on file.file_id = chunk.file_id
        where
            chunk.loaded_lines > 0
            and file.released_at is null
            and file.finished_at > (
                select coalesce(min(refresh.started_at), '-infinity')
                from (
                    select started_at from {{ refreshes }}
                    order by finished_at desc
                    offset 1
                    limit 1
                ) as refresh
            )
        group by file.file_id
        order by file.file_id
    {%- endset -%}
    {%- if execute and flags.WHICH in ('run', 'build') and load_relation(refreshes) is not none -%}
        {%- for labeller, name, first, last, ids in run_query(files) if labeller in responses -%}
            {%- set has_labels = run_query(
                "select exists(select 1 from " ~ responses[labeller]
                ~ " where chunk_id between " ~ first ~ " and " ~ last
                ~ " and chunk_id = any ('" ~ ids ~ "') and problem is distinct from 'missing_labels')"
            )[0][0] -%}
            {%- if not has_labels -%}
                {%- do exceptions.warn(
                    "No line of " ~ printable(name) ~ " has labels in the format of " ~ labeller
                    ~ ". If it is another labeller's: `python -m loader forget FILE`, then `python -m loader"
                    ~ " load --labeller NAME FILE`."
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
