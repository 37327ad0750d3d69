-- Not Postgres' own cast alone: from 16 on it also takes 0x1 and 1_0. Much longer strings would
-- overflow it; a bound in the pattern, as {1,100}, would take ten times as long.
select
    case
        when coalesce(tag -> 'accuracy', 'null') = 'null'
            then null
        when jsonb_typeof(tag -> 'accuracy') = 'number'
            then (tag -> 'accuracy')::numeric
        when
            jsonb_typeof(tag -> 'accuracy') = 'string'
            and char_length(tag ->> 'accuracy') <= 200
            and tag ->> 'accuracy' ~ '^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$'
            then (tag ->> 'accuracy')::numeric
        else 'NaN'
    end
