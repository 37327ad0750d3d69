select
    case
        when provider is null
            then accuracy is not null
        else coalesce(provider <> image_provider, true)
    end
