{#- The rules by which a tag is shown or not: a subselect for `cross join lateral`, with one row per
    element of the jsonb array `tags`. Both tag_decisions and published_images use it.

    The policy is read by scalar subselects that refer to nothing outside, so Postgres evaluates
    each once a query (an InitPlan) instead of joining it to every tag: 225,000 images took 3.8 s
    instead of 52 s by an index join. Each `offset 0` keeps Postgres from copying the expressions
    below it to every place that reads them: 20,000 images took 0.9 s instead of 1.9 s. -#}
{% macro decide_tags(tags, image_provider) -%}
    {%- set policy = ref('int_label_policy') -%}
    (
        select
            tag.position,
            tag.tag,
            tag.name,
            tag.provider,
            tag.accuracy,
            tag.is_machine_tag,
            case
                when
                    coalesce(tag.key, '') = ''
                    or (tag.has_accuracy and tag.accuracy is null)
                    or tag.accuracy not between 0 and 1
                    then 'malformed'
                when tag.key like any ((select denied_patterns from {{ policy }})::text[])
                    then 'denied_pattern'
                when (tag.provider_rule ->> 'is_withheld')::boolean
                    then 'provider_withheld'
                when
                    tag.accuracy < coalesce(
                        ((select minimum_accuracies from {{ policy }}) -> tag.key)::numeric,
                        (tag.provider_rule ->> 'minimum_accuracy')::numeric,
                        0.9
                    )
                    then 'below_minimum_accuracy'
                when not tag.is_machine_tag
                    then 'published'
                when tag.label_decision = 'sensitive_label'
                    then 'sensitive_label'
                when (select corrections from {{ policy }}) ? {{ trim_white_space('tag.name') }}
                    then 'superseded_spelling'
                else coalesce(tag.label_decision, 'unreviewed_label')
            end as decision,
            (select flag_categories from {{ policy }}) ->> tag.key as flag_category
        from (
            select
                field.position,
                field.tag,
                field.name,
                field.provider,
                field.has_accuracy,
                field.accuracy,
                field.key,
                (select decisions from {{ policy }}) ->> field.key as label_decision,
                (select providers from {{ policy }}) -> field.provider as provider_rule,
                case
                    when field.provider is null then field.has_accuracy
                    else not coalesce(field.provider = {{ image_provider }}, false)
                end as is_machine_tag
            from (
                select
                    item.position,
                    item.tag,
                    item.name,
                    item.provider,
                    coalesce(item.accuracy, 'null') <> 'null' as has_accuracy,
                    case jsonb_typeof(item.accuracy)
                        when 'number'
                            then item.accuracy::numeric
                        when 'string'
                            then {{ numeric_or_null("item.accuracy #>> '{}'") }}
                    end as accuracy,
                    {{ label_key('item.name') }} as key
                from (
                    select
                        element.position,
                        element.tag,
                        case
                            when jsonb_typeof(element.tag -> 'name') = 'string'
                                then element.tag ->> 'name'
                        end as name,
                        element.tag ->> 'provider' as provider,
                        element.tag -> 'accuracy' as accuracy
                    from jsonb_array_elements({{ tags }}) with ordinality as element (tag, position)
                    offset 0
                ) as item
                offset 0
            ) as field
            offset 0
        ) as tag
    )
{%- endmacro %}
