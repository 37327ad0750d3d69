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
            where
                file.labeller = '{{ labeller }}'
                and file.finished_at > (
                    select coalesce(min(refresh.started_at), '-infinity')
                    from (
                        select started_at from {{ refreshes }}
                        order by finished_at desc
                        offset 1
                        limit 1
                    ) as refresh
                )
                and exists (
                    select from {{ responses }}
                    where chunk_id = any (
                        select chunk_id from {{ of_the_loader('loaded_chunks') }} as chunk
                        where chunk.file_id = file.file_id
                    )
                )
                and not exists (
                    select from {{ responses }}
                    where
                        problem is distinct from 'missing_labels'
                        and chunk_id = any (
                            select chunk_id from {{ of_the_loader('loaded_chunks') }} as chunk
                            where chunk.file_id = file.file_id
                        )
                )
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
