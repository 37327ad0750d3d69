{% macro refuse_broken_label_policy(in_force, problems) -%}
    {%- if execute -%}
        {%- set stays = "The label policy in force is still the earlier one, whole"
            if load_relation(in_force) else "No label policy is in force" -%}
        {%- if not load_relation(problems) -%}
            {{ exceptions.raise_compiler_error(
                stays ~ ": what checks a new one is not there. Run `dbt build` first, it makes it."
            ) }}
        {%- endif -%}
        {%- set found = label_policy_problems(problems) -%}
        {%- if found -%}
            {{ exceptions.raise_compiler_error(
                stays ~ ". What is wrong with the new one:" ~ found
                ~ "\nMend the lines, which `python -m review check` names, or take the files back from"
                ~ " git; then say `dbt seed`."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro label_policy_problems(problems) -%}
    {%- if execute -%}
        {%- set found = run_query(
            "select file, name, problem, count(*) over () from " ~ problems ~ " order by 1, 2, 3 limit 10"
        ) -%}
        {%- set lines = [] -%}
        {%- for file, name, problem, total in found -%}
            {%- do lines.append("\n  " ~ printable(file ~ ": “" ~ name ~ "” " ~ problem)) -%}
            {%- if loop.last and total > loop.length -%}
                {%- do lines.append("\n  and " ~ (total - loop.length) ~ " more") -%}
            {%- endif -%}
        {%- endfor -%}
        {{ return(lines | join) }}
    {%- endif -%}
{%- endmacro %}
