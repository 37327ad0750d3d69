{% macro print_names(sentence, of, query) -%}
    {%- if execute and load_relation(of) is not none -%}
        {%- set names = [] -%}
        {%- for row in run_query(query) -%}
            {%- do names.append(printable(row[0] | string) ~ " (" ~ row[1] ~ ")") -%}
        {%- endfor -%}
        {%- if names -%}
            {%- do print(sentence ~ ": " ~ names | join(", ")) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
