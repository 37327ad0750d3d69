{% macro newcombe_bound(successes, trials, successes_before, trials_before, sign) -%}
    {%- set share = "(" ~ successes ~ "::numeric / " ~ trials ~ ")" -%}
    {%- set share_before = "(" ~ successes_before ~ "::numeric / " ~ trials_before ~ ")" -%}
    {%- set other_sign = "+" if sign == "-" else "-" -%}
    (
        {{ share }} - {{ share_before }}
        {{ sign }} sqrt(
            ({{ share }} - {{ wilson_bound(successes, trials, sign) }}) ^ 2
            + ({{ share_before }} - {{ wilson_bound(successes_before, trials_before, other_sign) }}) ^ 2
        )
    )
{%- endmacro %}
