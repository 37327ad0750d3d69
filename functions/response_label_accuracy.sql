select
    case
        when jsonb_typeof(label -> 'Confidence') <> 'number'
            then null
        when (label -> 'Confidence')::numeric between 0 and 100
            then trim_scale((label -> 'Confidence')::numeric * 0.01)
    end
