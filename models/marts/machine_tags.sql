with

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

tagged as (
    select
        machine_labels.identifier,
        machine_labels.provider,
        tagged.tags,
        machine_labels.label_model_version,
        machine_labels.response_id
    from machine_labels
    left join lateral (
        select
            coalesce(
                jsonb_agg(
                    {{ function('machine_tag') }}(
                        label.name, label.accuracy, machine_labels.provider
                    )
                    order by label.position
                ),
                '[]'
            ) as tags
        from
            unnest(machine_labels.names, machine_labels.accuracies) with ordinality
                as label (name, accuracy, position)
        where label.name is not null
    ) as tagged on true
)

select * from tagged
