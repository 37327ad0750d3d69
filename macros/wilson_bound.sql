{% macro wilson_bound(successes, trials, sign) -%}
    {%- set z = normal_quantile() -%}
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

{#- The bound is the share b with (p - b)² = z² · b(1 - b) / n; this is solved for n. -#}
{% macro wilson_trials(share, bound) -%}
    (
        {{ normal_quantile() }} * {{ normal_quantile() }} * {{ bound }} * (1 - {{ bound }})
        / (({{ share }} - {{ bound }}) * ({{ share }} - {{ bound }}))
    )
{%- endmacro %}

{#- The normal distribution's two-sided quantile for 95 %; numeric, so that every server rounds alike. -#}
{% macro normal_quantile() -%}
    1.959963984540054
{%- endmacro %}
