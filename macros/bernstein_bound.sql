{% macro bernstein_judgements(half_width, cost, smallest_frequency, variance) -%}
    (
        {{ bernstein_log() }}
        * (2 * {{ variance }} + 2 * {{ cost }} * {{ half_width }} / (3 * {{ smallest_frequency }}))
        / ({{ half_width }} * {{ half_width }})
    )
{%- endmacro %}

{% macro bernstein_half_width(judgements, cost, smallest_frequency, variance) -%}
    {%- set linear = bernstein_log() ~ " * 2 * " ~ cost ~ " / (3 * " ~ smallest_frequency ~ ")" -%}
    (
        (
            {{ linear }}
            + sqrt(
                ({{ linear }}) * ({{ linear }})
                + 8 * {{ judgements }} * {{ bernstein_log() }} * {{ variance }}
            )
        )
        / (2 * {{ judgements }})
    )
{%- endmacro %}

{% macro bernstein_log() -%}
    ln(2 / (1 - {{ var('disparity_confidence') }}::numeric))
{%- endmacro %}
