{% for labeller in var('labellers') %}
    select
        identifier,
        -- Not the column, so that what asks for one labeller reads no other's.
        '{{ labeller }}' as provider,
        names,
        accuracies,
        label_model_version,
        response_id
    from {{ ref('int_' ~ labeller ~ '_labels') }}
    {{ 'union all' if not loop.last }}
{% endfor %}
