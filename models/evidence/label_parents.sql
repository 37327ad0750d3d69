with

examples as (
    select * from {{ ref('label_examples') }}
    where provider = 'rekognition' and rank = 1
),

stored_labels as (
    select * from {{ ref('int_rekognition_labels') }}
),

responses as (
    select * from {{ ref('stg_rekognition__responses') }}
),

example_responses as materialized (
    select
        examples.provider,
        examples.label,
        (
            select stored_labels.response_id
            from stored_labels
            where stored_labels.identifier = examples.identifier
        ) as response_id
    from examples
),

-- By an array: Postgres reads each block once, and by the index once it has statistics. A join may
-- read all documents; look-ups one by one read blocks again and again, 2 s on the sample, this 0.4.
documents as (
    select
        response_id,
        labels
    from responses
    where response_id = any(array(select example_responses.response_id from example_responses))
),

example_documents as (
    select
        example_responses.provider,
        example_responses.label,
        documents.labels
    from example_responses
    inner join documents on example_responses.response_id = documents.response_id
),

-- A path of jsonpath passes over what has another shape.
parents as (
    select
        documents.provider,
        documents.label,
        {{ function('response_label_name') }}(parent.name) as parent
    from example_documents as documents
    cross join lateral jsonb_path_query(documents.labels, '$[*]') as said (label)
    cross join lateral jsonb_path_query(said.label, '$.Parents[*].Name') as parent (name)
    where {{ function('response_label_name') }}(said.label -> 'Name') = documents.label
),

parents_by_label as (
    select
        provider,
        label,
        parent
    from parents
    where parent is not null
    group by provider, label, parent
)

select * from parents_by_label
