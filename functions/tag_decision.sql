-- The rules by which a tag is shown or not. The first that holds decides.
select
    case
        when {{ function('is_malformed_tag') }}(label_key, accuracy)
            then 'malformed'

        when label_key like any(denied_tag_patterns)
            then 'denied_pattern'

        when
            case
                when tag_providers ? provider
                    then tag_providers -> provider ->> 'is_withheld' = 'true'
                else {{ function('is_machine_tag') }}(provider, image_provider, accuracy)
            end
            then 'provider_withheld'

        when
            accuracy is not null
            and accuracy < {{ function('minimum_accuracy') }}(
                label_key, provider, tag_providers, included_labels
            )
            then 'below_minimum_accuracy'

        when not {{ function('is_machine_tag') }}(provider, image_provider, accuracy)
            then 'published'

        when sensitive_labels -> label_key ->> 'handling' = 'withhold'
            then 'sensitive_label'

        when label_corrections ? {{ function('trim_white_space') }}(name)
            then 'superseded_spelling'

        when not reviewed_labels ? label_key
            then 'unreviewed_label'

        when not included_labels ? label_key
            then 'excluded_label'

        else 'published'
    end
