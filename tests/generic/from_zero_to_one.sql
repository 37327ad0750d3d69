{#- Proves that an accuracy is one: from 0 to 1, or null. -#}
{% test from_zero_to_one(model, column_name) %}

select *
from {{ model }}
where {{ column_name }} not between 0 and 1

{% endtest %}
