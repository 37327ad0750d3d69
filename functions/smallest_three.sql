sfunc = {{ function('keep_smallest_three') }},
combinefunc = {{ function('merge_smallest_three') }},
stype = uuid[],
initcond = '{}',
parallel = safe
