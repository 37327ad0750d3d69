{#- Proves that a number is above zero, or null. -#}
{% test above_zero(model, column_name) %}

select *
from {{ model }}
where {{ column_name }} <= 0

{% endtest %}
