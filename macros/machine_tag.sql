{#- A machine's label as a tag. -#}
{% macro machine_tag(name, accuracy, provider) -%}
    jsonb_build_object('name', {{ name }}, 'accuracy', {{ accuracy }}, 'provider', {{ provider }})
{%- endmacro %}
