select
    case
        when jsonb_typeof(confidence) <> 'number'
            then null
        when confidence::numeric between 0 and 100
            then trim_scale(confidence::numeric * 0.01)
    end
