{#- The loader cannot know: it reads no labels. Of the files since the refresh before this one; of a good
    file one response is read. -#}
{% macro warn_of_another_labellers_files() -%}
    {%- set refreshes = ref('refreshes') -%}
    {%- set queries = [] -%}
    {%- for labeller in var('labellers') -%}
        {%- set responses = ref('stg_' ~ labeller ~ '__responses') -%}
        {%- set query -%}
            select '{{ labeller }}' as labeller, file.name
            from {{ of_the_loader('loaded_files') }} as file
            -- The bounds are for the index.
            cross join lateral (
                select min(chunk_id) as first, max(chunk_id) as last, array_agg(chunk_id) as ids
                from {{ of_the_loader('loaded_chunks') }} as chunk
                where chunk.file_id = file.file_id and chunk.loaded_lines > 0
            ) as chunks
            where
                file.labeller = '{{ labeller }}'
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
                and chunks.ids is not null
                and (
                    select response.response_id from {{ responses }} as response
                    where
                        response.chunk_id between chunks.first and chunks.last
                        and response.chunk_id = any (chunks.ids)
                        and response.problem is distinct from 'missing_labels'
                    limit 1
                ) is null
        {%- endset -%}
        {%- do queries.append(query) -%}
    {%- endfor -%}
    {%- if execute and flags.WHICH in ('run', 'build') and load_relation(refreshes) is not none -%}
        {%- for labeller, file in run_query(queries | join(' union all ')) -%}
            {%- do exceptions.warn(
                "No line of " ~ printable(file) ~ " has labels in the format of " ~ labeller
                ~ ". If it is another labeller's: `python -m loader forget FILE`, then `python -m loader"
                ~ " load --labeller NAME FILE`."
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
