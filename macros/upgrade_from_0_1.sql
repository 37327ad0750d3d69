{% macro upgrade_from_0_1() -%}
    {%- set view = ref('stg_rekognition__responses') -%}
    {%- if execute and flags.WHICH == 'build' -%}
        {%- set existing = load_relation(view) -%}
        {%- if existing is not none
            and 'image_id' in adapter.get_columns_in_relation(existing) | map(attribute='name') -%}
            alter view {{ view }} rename column image_id to identifier;
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro drop_what_0_1_left() -%}
    {%- set schema = ref('int_label_policy_in_force').include(database=false, identifier=false) -%}
    {%- set image = 'jsonb, text, text, text[], numeric[]' -%}
    {%- set rules = image ~ ', text[], text[], jsonb, jsonb, jsonb, jsonb' -%}
    {%- do run_query(
        "drop view if exists " ~ schema ~ ".int_folded_label_policy, " ~ schema ~ ".int_label_rules;"
        ~ "drop table if exists " ~ schema ~ ".int_label_policy, " ~ schema ~ ".label_accuracy_histogram;"
        ~ "drop function if exists " ~ [
            schema ~ '.extract_labels(jsonb, jsonb)',
            schema ~ '.store_label_policy()',
            schema ~ '.decided_tags(' ~ rules ~ ')',
            schema ~ '.published_tags(' ~ rules ~ ', numeric)',
            schema ~ '.sensitivity(' ~ rules ~ ', numeric, jsonb)',
        ] | join(', ')
    ) -%}
{%- endmacro %}
