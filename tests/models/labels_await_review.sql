-- Guards: a label that nobody has reviewed is not shown, and is not forgotten either. Names the ten
-- that would show on most images. The var unreviewed_labels_severity makes it an error.
{{ config(severity=var('unreviewed_labels_severity')) }}
{{
    print_names(
        'Labels that await review, with images that would show them',
        ref('unreviewed_labels'),
        'select label, images_if_included from ' ~ ref('unreviewed_labels') ~ ' limit 10'
    )
}}
select *
from {{ ref('unreviewed_labels') }}
