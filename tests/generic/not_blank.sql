{#- Proves that something is written there. -#}
{% test not_blank(model, column_name) %}

select *
from {{ model }}
where {{ column_name }} is null or {{ function('trim_white_space') }}({{ column_name }}) = ''

{% endtest %}
