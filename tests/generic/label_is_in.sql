{#- Proves that each label stands in another list too, however the two spell and space it. -#}
{% test label_is_in(model, column_name, to) %}

select {{ function('label_key') }}({{ column_name }}) as label_key from {{ model }}
except
select {{ function('label_key') }}(label) as label_key from {{ to }}

{% endtest %}
