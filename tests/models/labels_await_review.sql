-- Guards: a label that nobody has reviewed is not shown, and is not forgotten either. Names the ten
-- that would show on most images. The var unreviewed_labels_severity makes it an error.
{{ config(severity=var('unreviewed_labels_severity')) }}
{{ print_labels_that_await_review() }}
select *
from {{ ref('unreviewed_labels') }}
