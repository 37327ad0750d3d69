-- Guards: no list contradicts another, no value is misspelt. What is broken is not put in force, so
-- that what reviewers have decided takes no effect. It waits for the refusal, which says more.
-- depends_on: {{ ref('int_label_policy_in_force') }}
{% set problems = ref('int_label_policy_problems') %}
{% set found = label_policy_problems(problems) %}
{% if found %}
    {% do print("What is wrong with the label policy's files:" ~ found) %}
{% endif %}
select * from {{ problems }}
