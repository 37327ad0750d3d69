{% macro require_functions() -%}
    {%- if execute and flags.WHICH in ('run', 'test') -%}
        {%- set signatures = [] -%}
        {%- for function in graph.functions.values() if function.package_name == 'label_refinery' -%}
            {%- set types = function.arguments | map(attribute='data_type') | join(', ') -%}
            {%- do signatures.append(adapter.quote(function.schema) ~ '.' ~ function.name ~ '(' ~ types ~ ')') -%}
        {%- endfor -%}
        {%- set missing = run_query(
            "select signature from unnest('{" ~ signatures | map('tojson') | join(', ') ~ "}'::text[])"
            ~ " as needed (signature) where to_regprocedure(signature) is null"
        ) -%}
        {%- if missing | length > 0 -%}
            {{ exceptions.raise_compiler_error(
                "The function " ~ missing[0][0] ~ " is not in the database"
                ~ (", nor are " ~ (missing | length - 1) ~ " others" if missing | length > 1 else "")
                ~ ": run `dbt build` first, it makes them."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
