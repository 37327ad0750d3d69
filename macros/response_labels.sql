{#- The name of a label of a response, trimmed; null if it is no string. -#}
{% macro label_name(label) -%}
    case
        when jsonb_typeof({{ label }} -> 'Name') = 'string'
            then {{ trim_white_space(label ~ " ->> 'Name'") }}
    end
{%- endmacro %}

{#- Its confidence, null if it is no number. -#}
{% macro label_confidence(label) -%}
    case
        when jsonb_typeof({{ label }} -> 'Confidence') = 'number'
            then ({{ label }} -> 'Confidence')::numeric
    end
{%- endmacro %}

{#- Whether it is a label at all, by these two. -#}
{% macro is_good_label(name, confidence) -%}
    (({{ name }}) <> '' and ({{ confidence }}) between 0 and 100) is true
{%- endmacro %}
