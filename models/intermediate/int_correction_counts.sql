{{ config(materialized='refilled_table') }}
{{ correction_counts(label_policy(['label_corrections'])) }}

select * from counted
