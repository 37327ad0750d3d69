-- Guards: a machine that tag_providers.csv does not list is not shown, and is not forgotten either.
-- Names each with what it says; `(none)` are tags with an accuracy that do not say whose they are.
{% set unlisted -%}
    from {{ ref('label_summary') }} as summary
    left join {{ ref('tag_providers') }} as listed using (provider)
    where listed.provider is null
{%- endset %}
{{ config(severity='warn') }}
{{
    print_names(
        'Machines that tag_providers.csv does not list, so that they are not shown',
        ref('label_summary'),
        "select provider, labels || ' tags on ' || images || ' images' " ~ unlisted
    )
}}
select summary.* {{ unlisted }}
