{%- set corrections = label_policy(['label_corrections']) -%}
with

all_labels as (
    {% for labeller in var('labellers') %}
        select
            identifier,
            -- Not the column, so that what asks for one labeller reads no other's.
            '{{ labeller }}' as provider,
            case
                when {{ corrections }} ?| names
                    then {{ function('corrected_names') }}(names, accuracies, {{ corrections }})
                else names
            end as names,
            accuracies,
            names as said_names,
            label_model_version,
            response_id
        from {{ ref('int_' ~ labeller ~ '_labels') }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from all_labels
