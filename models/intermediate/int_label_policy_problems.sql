-- Each case is a sentence that must hold, in the words of review/check.py for what breaks it. Empty
-- is an empty text here, as in a file.

with

lines as (
    {% for file, name in [
        ('included_labels', 'label'), ('reviewed_labels', 'label'), ('sensitive_labels', 'label'),
        ('label_corrections', 'original'), ('tag_providers', 'provider'),
        ('denied_tag_patterns', 'pattern')
    ] %}
        select
            '{{ file }}' as file,
            coalesce({{ name }}, '') as name,
            {{ function('label_key') }}(coalesce({{ name }}, '')) as key,
            to_jsonb(line) as line
        from {{ ref(file) }} as line
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

cells as (
    select
        lines.file,
        lines.name,
        cell.key as column_name,
        coalesce(cell.value, '') as value,
        {{ function('trim_white_space') }}(coalesce(cell.value, '')) as trimmed
    from lines
    cross join lateral jsonb_each_text(lines.line) as cell
),

included as (
    select
        name,
        key,
        (line ->> 'minimum_accuracy')::numeric as minimum_accuracy
    from lines
    where file = 'included_labels'
),

reviewed as (
    select
        name,
        key,
        {{ function('trim_white_space') }}(substring(line ->> 'note' from '^alias of ([^;]+)'))
            as alias_of
    from lines
    where file = 'reviewed_labels'
),

sensitive as (
    select
        name,
        key,
        line ->> 'handling' as handling,
        coalesce(line ->> 'category', '') as category,
        case line ->> 'handling'
            when 'withhold'
                then
                    'age, gender, sexual_orientation, nationality, race, marital_status, religion,'
                    || ' health, appearance, emotion, occupation, political_affiliation'
            when 'flag' then 'weapons, adult, drugs, injury'
        end as categories
    from lines
    where file = 'sensitive_labels'
),

withheld as (
    select key from sensitive
    where handling = 'withhold'
),

corrections as (
    select
        name,
        key,
        coalesce(line ->> 'corrected', '') as corrected,
        {{ function('label_key') }}(coalesce(line ->> 'corrected', '')) as corrected_key
    from lines
    where file = 'label_corrections'
),

providers as (
    select
        name,
        (line ->> 'minimum_accuracy')::numeric as minimum_accuracy,
        line ->> 'is_withheld' as is_withheld
    from lines
    where file = 'tag_providers'
),

patterns as (
    select
        name,
        key,
        coalesce(line ->> 'match', '') as match
    from lines
    where file = 'denied_tag_patterns'
),

problems as (
    select
        file,
        name,
        unnest(array[
            case
                when
                    trimmed = ''
                    and column_name in (
                        'label', 'category', 'handling', 'reason', 'original', 'corrected',
                        'provider', 'is_withheld', 'pattern', 'match', 'reviewed_by', 'reviewed_on'
                    )
                    then 'has no ' || column_name
            end,
            case
                when trimmed not in ('', value)
                    then 'has white space around its ' || column_name || '; take it away'
            end
        ]) as problem
    from cells
    union all
    select
        file,
        min(name collate "C") as name,
        'is there already; keep one' as problem
    from lines
    group by file, key
    having count(*) > 1
    union all
    select
        'included_labels' as file,
        name,
        unnest(array[
            case
                when minimum_accuracy not between 0 and 1
                    then 'has a minimum_accuracy that is no number from 0 to 1'
            end,
            case
                when key not in (select reviewed.key from reviewed)
                    then 'is included but not in reviewed_labels.csv; add it there'
            end,
            case
                when key in (select withheld.key from withheld)
                    then 'is included, and sensitive_labels.csv withholds it; keep one'
            end
        ]) as problem
    from included
    union all
    select
        'included_labels' as file,
        included.name,
        'is included, but the pattern “' || patterns.name || '” denies it; keep one' as problem
    from included
    inner join patterns
        on
            included.key = patterns.key
            or (patterns.match = 'contains' and strpos(included.key, patterns.key) > 0)
    union all
    select
        'reviewed_labels' as file,
        name,
        'is an alias of “' || alias_of || '”, which is not included; include both or neither'
            as problem
    from reviewed
    where
        key in (select included.key from included)
        and {{ function('label_key') }}(alias_of) not in (select included.key from included)
    union all
    select
        'sensitive_labels' as file,
        name,
        unnest(array[
            case when categories is null then 'needs withhold or flag as handling' end,
            case
                when not category = any(string_to_array(categories, ', '))
                    then 'has handling ' || handling || '; its category is one of ' || categories
            end,
            case
                when handling = 'flag' and key not in (select included.key from included)
                    then 'is flagged but not included, so the flag does nothing'
            end
        ]) as problem
    from sensitive
    union all
    select
        'label_corrections' as file,
        name,
        unnest(array[
            case
                when corrected_key not in (select included.key from included)
                    then
                        'becomes “' || corrected || '”, which is not included; include that, or'
                        || ' take the line out of label_corrections.csv'
            end,
            case
                when corrected in (select next.name from corrections as next)
                    then
                        'becomes “' || corrected || '”, which is corrected too; say the last'
                        || ' spelling'
            end,
            case
                when key not in (select reviewed.key from reviewed)
                    then 'is corrected but not in reviewed_labels.csv; add it there'
            end,
            case
                when key <> corrected_key and key in (select included.key from included)
                    then
                        'becomes “' || corrected || '” by label_corrections.csv, so only that can'
                        || ' be included'
            end
        ]) as problem
    from corrections
    union all
    select
        'tag_providers' as file,
        name,
        unnest(array[
            case
                when minimum_accuracy not between 0 and 1
                    then 'has a minimum_accuracy that is no number from 0 to 1'
            end,
            case when is_withheld is null then 'needs true or false as is_withheld' end
        ]) as problem
    from providers
    union all
    select
        'denied_tag_patterns' as file,
        name,
        'needs exact or contains as match' as problem
    from patterns
    where match not in ('exact', 'contains')
),

by_line as (
    select distinct
        file || '.csv' as file,
        name,
        problem
    from problems
    where problem is not null
)

select * from by_line
