{% macro of_the_loader(table) -%}
    {{ return(source('rekognition', 'rekognition_responses').incorporate(path={'identifier': table})) }}
{%- endmacro %}

{% macro last_read_response_id(store, labeller) -%}
    (
        select noted.last_response_id from {{ of_the_loader('read_responses') }} as noted
        where
            noted.labeller = '{{ labeller }}'
            and noted.store = '{{ store.include(database=false) | replace('"', '') }}'
    )
{%- endmacro %}

{#- Every store that has read a file's responses; only then `loader release` lets them go. -#}
{% macro note_what_is_read(store, labeller) -%}
    insert into {{ of_the_loader('read_responses') }} as noted (labeller, store, last_response_id)
    values ('{{ labeller }}', '{{ store.include(database=false) | replace('"', '') }}', {{ last_settled_response_id() }})
    on conflict (labeller, store) do update
    set last_response_id = excluded.last_response_id
    where noted.last_response_id < excluded.last_response_id;
{%- endmacro %}

{% macro refuse_to_lose_released(labeller) -%}
    {%- set files = run_query(
        "select name from " ~ of_the_loader('loaded_files')
        ~ " where labeller = '" ~ labeller ~ "' and released_at is not null order by file_id"
    ).columns[0].values() -%}
    {%- if files -%}
        {{ exceptions.raise_compiler_error(
            "To read all responses anew would lose the labels of " ~ files | length ~ " released files,"
            ~ " whose documents are gone: " ~ files[:3] | map('tojson') | join(', ')
            ~ (', …' if files | length > 3 else '') ~ ". Load them again first: `python -m loader forget"
            ~ " FILE`, then `python -m loader load --labeller " ~ labeller ~ " FILE`."
        ) }}
    {%- endif -%}
{%- endmacro %}
