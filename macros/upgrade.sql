{#- Of 0.1: a view that has renamed a column since keeps what stands on it. -#}
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

{#- Until 0.2 int_machine_labels was the only store. What stands on it stays when it is renamed. -#}
{% macro upgrade_from_0_2() -%}
    {%- set store = ref('int_rekognition_labels') -%}
    {%- if execute and flags.WHICH == 'build' and load_relation(store) is none -%}
        {%- set earlier = load_relation(store.incorporate(path={'identifier': 'int_machine_labels'})) -%}
        {%- if earlier is not none and earlier.is_table -%}
            {%- do adapter.rename_relation(earlier, store) -%}
        {%- endif -%}
    {%- endif -%}
    {%- set catalog_labels = ref('int_catalog_labels') -%}
    {%- if execute and flags.WHICH == 'build' and load_relation(catalog_labels) is not none
        and 'read_until' not in adapter.get_columns_in_relation(catalog_labels) | map(attribute='name') -%}
        alter table {{ catalog_labels }} add column read_until timestamptz, set logged;
    {%- endif -%}
{%- endmacro %}

{% macro drop_what_earlier_versions_left() -%}
    {%- set schema = ref('int_label_policy_in_force').include(database=false, identifier=false) -%}
    {%- set image = 'jsonb, text, text, text[], numeric[]' -%}
    {%- set of_0_1 = image ~ ', text[], text[], jsonb, jsonb, jsonb, jsonb' -%}
    {%- set of_0_2 = image ~ ', text[], jsonb, jsonb, jsonb, jsonb, jsonb' -%}
    {#- Its store had corrected names. Those that a correction may have made are marked, to be read again. -#}
    {%- do run_query(
        "update " ~ ref('int_rekognition_labels') ~ " set response_id = -response_id"
        ~ " where names && (select array_agg(corrected) from " ~ ref('label_corrections') ~ ")"
        ~ " and response_id in (select response_id from " ~ of_the_loader('rekognition_responses') ~ ");"
        ~ "drop view if exists " ~ schema ~ ".int_folded_label_policy, " ~ schema ~ ".int_label_rules;"
        ~ "drop table if exists " ~ schema ~ ".int_label_policy, " ~ schema ~ ".label_accuracy_histogram, "
        ~ schema ~ ".int_label_accuracy_histogram, " ~ schema ~ ".int_accuracy_counts, "
        ~ schema ~ ".int_correction_counts;"
        ~ "drop function if exists " ~ [
            schema ~ '.extract_labels(jsonb, jsonb)',
            schema ~ '.store_label_policy()',
            schema ~ '.decided_tags(' ~ of_0_1 ~ ')',
            schema ~ '.published_tags(' ~ of_0_1 ~ ', numeric)',
            schema ~ '.sensitivity(' ~ of_0_1 ~ ', numeric, jsonb)',
            schema ~ '.response_labels(jsonb, jsonb)',
            schema ~ '.response_labels(jsonb, text, text, numeric)',
            schema ~ '.response_label_accuracy(jsonb)',
            schema ~ '.mean(numeric[])',
            schema ~ '.merged_tags(' ~ image ~ ')',
            schema ~ '.decided_tags(' ~ of_0_2 ~ ')',
            schema ~ '.published_tags(' ~ of_0_2 ~ ', numeric)',
            schema ~ '.sensitivity(' ~ of_0_2 ~ ', numeric)',
        ] | join(', ')
    ) -%}
{%- endmacro %}
