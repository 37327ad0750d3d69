{% macro print_review_queue(queue) -%}
    {%- if execute and load_relation(queue) is not none -%}
        {%- set first_ten = run_query(
            "select label, images_if_included from " ~ queue ~ " limit 10"
        ) -%}
        {%- set names = [] -%}
        {%- for row in first_ten -%}
            {%- do names.append(printable(row[0] | string) ~ " (" ~ row[1] ~ ")") -%}
        {%- endfor -%}
        {%- if names -%}
            {%- do print(
                "Labels that await review, with images that would show them: " ~ names | join(", ")
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
