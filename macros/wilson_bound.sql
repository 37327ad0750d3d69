{#- The normal distribution's two-sided quantile for 95 %; numeric, so that every server rounds alike. -#}
{% macro wilson_bound(successes, trials, sign) -%}
    {%- set z = "1.959963984540054" -%}
    (
        (
            {{ successes }} + {{ z }} * {{ z }} / 2
            {{ sign }} {{ z }} * sqrt(
                {{ successes }} * (1 - {{ successes }}::numeric / {{ trials }})
                + {{ z }} * {{ z }} / 4
            )
        )
        / ({{ trials }} + {{ z }} * {{ z }})
    )
{%- endmacro %}
