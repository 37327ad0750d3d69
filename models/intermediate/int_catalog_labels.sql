{{
    config(
        materialized='incremental',
        incremental_strategy='replace_labels',
        full_refresh=false,
        pre_hook=[
            "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0",
            "{% if is_incremental() %}{{ distribute(this) }} lock table {{ this }} in share row exclusive mode{% endif %}",
        ],
        post_hook=[
            "{{ distribute(this) }}",
            "create index if not exists int_catalog_labels_identifier on {{ this }} (identifier)",
        ]
    )
}}
{%- set changed_at = var('catalog_changed_at') %}
{#- But for the last hour: a change is dated when its transaction begins, and seen when it ends. #}
{%- set read_until %}
least((select max(latest."{{ changed_at }}") from images as latest), now() - interval '1 hour')
{%- endset %}
{%- if not changed_at %}{% set read_until = 'null::timestamptz' %}{% endif %}
{%- set reads_all = not changed_at or not is_incremental() or is_full_refresh() %}
-- depends_on: {{ ref('int_label_changes') }}

-- Stored, though only the count reads it: reading the catalog's tags is most of its work. A refresh
-- gets what has changed of it, see macros/replace_labels.sql; what is gone has no names.

with

images as not materialized (
    select * from {{ ref('stg_catalog__images') }}
),

{% if is_incremental() %}
    stored as (
        select * from {{ this }}
    ),

    images_read as (
        select * from images
        {% if not reads_all %}
            where
                "{{ changed_at }}" > (
                    select coalesce(max(stored.read_until), '-infinity') from stored
                )
        {% endif %}
    ),

    labels as (
        select
            images_read.identifier,
            found.provider,
            found.names,
            found.accuracies
        from images_read
        cross join
            lateral {{ function('catalog_labels') }}(
                images_read.tags, images_read.provider
            ) as found
    ),

    -- All of them, or an image that is no more in the catalog would stay.
    stored_before as (
        select * from stored
        {% if not reads_all %}
            where identifier in (select images_read.identifier from images_read)
        {% endif %}
    ),

    changed as (
        select
            coalesce(labels.identifier, before.identifier) as identifier,
            case when labels.identifier is null then before.provider else labels.provider end
                as provider,
            labels.names,
            labels.accuracies,
            {{ read_until }} as read_until
        from labels
        full join stored_before as before
            on
                labels.identifier = before.identifier
                and (
                    labels.provider = before.provider
                    or num_nonnulls(labels.provider, before.provider) = 0
                )
        where
            (labels.names, labels.accuracies) is distinct from (before.names, before.accuracies)
    )

    select * from changed
{% else %}
    labels as (
        select
            images.identifier,
            found.provider,
            found.names,
            found.accuracies,
            {{ read_until }} as read_until
        from images
        cross join lateral {{ function('catalog_labels') }}(images.tags, images.provider) as found
        where images.tags <> '[]'
    )

    select * from labels
{% endif %}
