{#- Whether a label of a response is one: a name that is not blank, a confidence from 0 to 100. -#}
{% macro is_good_label(label) -%}
    (
        coalesce(jsonb_typeof({{ label }} -> 'Name'), '') = 'string'
        and {{ trim_white_space(label ~ " ->> 'Name'") }} <> ''
        and case jsonb_typeof({{ label }} -> 'Confidence')
            when 'number' then ({{ label }} -> 'Confidence')::numeric between 0 and 100
            else false
        end
    )
{%- endmacro %}
