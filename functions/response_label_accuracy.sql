select
    case
        when jsonb_typeof(confidence) <> 'number'
            then null
        when confidence::numeric * share between 0 and 1
            then trim_scale(confidence::numeric * share)
    end
