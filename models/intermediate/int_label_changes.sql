{{ config(materialized='incremental', full_refresh=false) }}

-- Its first row names no image: all labels are to be counted.

select
    null::text as store,
    null::uuid as identifier,
    null::text as provider,
    null::text[] as names,
    null::numeric[] as accuracies
{% if is_incremental() %}
    where false
{% endif %}
