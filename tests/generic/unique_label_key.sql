{#- Proves that no two lines name the same label, however they spell and space it. -#}
{% test unique_label_key(model, column_name) %}

select {{ function('label_key') }}({{ column_name }}) as label_key, array_agg({{ column_name }}) as spellings
from {{ model }}
group by 1
having count(*) > 1

{% endtest %}
