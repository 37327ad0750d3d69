{{
    config(
        materialized='incremental',
        full_refresh=false,
        post_hook=[
            "update {{ this }} set identifier = {{ no_image() }} where identifier is null",
            "{{ distribute(this) }}",
        ]
    )
}}

-- Its first row is of no store: all labels are to be counted.

select
    null::text as store,
    {{ no_image() }} as identifier,
    null::text as provider,
    null::text[] as names,
    null::numeric[] as accuracies
{% if is_incremental() %}
    where false
{% endif %}
