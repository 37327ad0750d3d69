select case when jsonb_typeof(tag -> 'name') = 'string' then tag ->> 'name' end
