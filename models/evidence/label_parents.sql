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

-- Scalar subselects, which Postgres evaluates example by example: two look-ups by index. A join
-- might read the documents of all images.
example_documents as (
    select
        examples.provider,
        examples.label,
        (
            select responses.labels
            from responses
            where
                responses.response_id = (
                    select stored_labels.response_id
                    from stored_labels
                    where stored_labels.identifier = examples.identifier
                )
        ) as labels
    from examples
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
