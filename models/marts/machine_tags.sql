with

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

tagged as (
    select
        identifier,
        provider,
        {{ function('merged_tags') }}(
            '[]', array[provider], array[cardinality(names)], names, accuracies,
            {{ label_policy(['label_corrections']) }}
        ) as tags,
        label_model_version,
        response_id
    from machine_labels
)

select * from tagged
