select
    case
        when jsonb_typeof(label -> 'Name') = 'string'
            then nullif({{ function('trim_white_space') }}(label ->> 'Name'), '')
    end
