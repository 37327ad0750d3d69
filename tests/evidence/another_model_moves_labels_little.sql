-- Guards: somebody looks at a label that another version of a machine's model says more or less
-- often by more than the var largest_share_change, before a backlog of images is labelled with it.
-- Names the ten that differ most, with their shares. Only where the interval misses zero, and the
-- version of fewer images would have the label on 30 of them at the larger share: of thousands of
-- rarer labels, some would be named by chance.
{% set moved -%}
    from {{ ref('label_model_changes') }}
    where
        abs(difference) > {{ var('largest_share_change') }}
        and (difference_low > 0 or difference_high < 0)
        and least(images_before, images_after) * greatest(share_before, share_after) >= 30
{%- endset %}
{{ config(severity='warn') }}
{{
    print_names(
        'Labels that another model says of more or fewer images',
        ref('label_model_changes'),
        "select label, concat(provider, ' ', version_before, ': ', share_before, ', ', version_after,
            ': ', share_after) " ~ moved ~ " order by abs(difference) desc, label limit 10"
    )
}}
select * {{ moved }}
