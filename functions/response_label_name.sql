select
    case
        when jsonb_typeof(name) = 'string'
            then nullif({{ function('trim_white_space') }}(name #>> '{}'), '')
    end
