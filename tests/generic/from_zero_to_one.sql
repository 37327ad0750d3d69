{#- Proves that each of some shares and accuracies is one: from 0 to 1, or null. In one pass over a view. -#}
{% test from_zero_to_one(model, columns) %}

select *
from {{ model }}
where
    {%- for column in columns %}
    {{ "or " if not loop.first }}{{ column }} not between 0 and 1
    {%- endfor %}

{% endtest %}
