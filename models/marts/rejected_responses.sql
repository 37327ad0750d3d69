with

{% for labeller in var('labellers') %}
    {{ labeller }} as (
        select * from {{ ref('stg_' ~ labeller ~ '__responses') }}
    ),
{% endfor %}

with_problem as (
    {% for labeller in var('labellers') %}
        {%- set format = var('labellers')[labeller] %}
        select
            response.response_id,
            coalesce(
                response.problem,
                case
                    when exists (
                        select 1
                        from jsonb_array_elements(response.labels) as element (label)
                        where
                            {{ function('response_label_name') }}(
                                element.label -> '{{ format.name }}'
                            ) is null
                            or {{ function('response_label_accuracy') }}(
                                element.label -> '{{ format.confidence }}',
                                1 / {{ format.highest }}::numeric
                            ) is null
                    ) then 'invalid_label'
                end
            ) as problem,
            response.document,
            '{{ labeller }}' as provider
        from {{ labeller }} as response
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

rejected as (
    select * from with_problem
    where problem is not null
)

select * from rejected
