{#- Functions that go through the tags of an image in a loop. A subselect for each image took nearly
    twice the CPU time, and Postgres runs it in one process only: 400,000 images were published in
    9 s on two cores instead of 28. Their cost has Postgres plan for several processes. -#}
{% macro create_image_function(name, returns, rows=1) -%}
    {%- set parameters = [
        ['tags', 'jsonb'],
        ['image_provider', 'text'],
        ['machine', 'text'],
        ['names', 'text[]'],
        ['accuracies', 'numeric[]'],
    ] -%}
    {%- for column in policy_of(name) -%}
        {%- do parameters.append([column, label_policy_type(column)]) -%}
    {%- endfor -%}
    {%- set function = target.schema ~ '.' ~ name -%}
    create or replace function {{ function }}(
        {%- for parameter in parameters %}
        {{ parameter | join(' ') }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
    returns {{ returns }}
    language plpgsql immutable parallel safe cost 1000 {{ 'rows ' ~ rows if rows > 1 }}
    as $$
    {{ caller() }}
    $$;
    -- Postgres asks this of who reads a view, and it is not everybody's in every database.
    grant execute on function {{ function }}({{ parameters | map('last') | join(', ') }}) to public;
{%- endmacro %}

{#- What such a function reads of the label policy. -#}
{% macro policy_of(name) -%}
    {%- set rules = [
        'denied_patterns',
        'withheld_providers',
        'minimum_accuracies',
        'provider_minimum_accuracies',
        'corrections',
        'decisions',
    ] -%}
    {{ return({
        'decided_tags': rules,
        'published_tags': rules + ['lowest_minimum_accuracy'],
        'sensitivity': rules + ['lowest_minimum_accuracy', 'flag_categories'],
    }.get(name, [])) }}
{%- endmacro %}

{#- A call of such a function, with what a left join to int_machine_labels has found for the image. -#}
{% macro image_function(name, images, machine_labels) -%}
    {%- set arguments = [
        images ~ '.tags',
        images ~ '.provider',
        machine_labels ~ '.provider',
        machine_labels ~ '.names',
        machine_labels ~ '.accuracies',
    ] -%}
    {%- for column in policy_of(name) -%}
        {%- do arguments.append(label_policy(column)) -%}
    {%- endfor -%}
    {{ target.schema }}.{{ name }}({{ arguments | join(', ') }})
{%- endmacro %}

{#- The loops: over the catalog's own tags, but for those of a machine that has labelled the image
    since, then over the machine's labels from an accuracy on. A label has no `tag` yet, since most
    are not shown. -#}
{% macro for_each_tag(at_least='0', only_machine_tags=false) -%}
    {%- set statements = caller() -%}
    {%- call for_each_own_tag(only_machine_tags) -%}
        continue when provider = machine;
            {{ statements }}
    {%- endcall %}
        tag := null;
        provider := machine;
        is_malformed := false;
        is_machine_tag := coalesce(machine <> image_provider, true);
        for place in 1 .. coalesce(cardinality(names), 0) loop
            {{ 'continue when not is_machine_tag;' if only_machine_tags }}
            accuracy := accuracies[place];
            continue when accuracy < {{ at_least }};
            name := names[place];
            label := name;
            {{ statements }}
        end loop;
{%- endmacro %}

{% macro for_each_own_tag(only_machine_tags=false) -%}
    tags := tags #> '{}';  -- decompressed once
        for place in 0 .. jsonb_array_length(tags) - 1 loop
            tag := tags -> place;
            provider := tag ->> 'provider';
            {#- Most tags are the creator's: no more is read of them. #}
            {{ 'continue when provider = image_provider;' if only_machine_tags }}
            accuracy_json := nullif(tag -> 'accuracy', 'null');
            is_machine_tag := case
                when provider is null then accuracy_json is not null
                else coalesce(provider <> image_provider, true)
            end;
            {{ 'continue when not is_machine_tag;' if only_machine_tags }}
            {{ read_tag() }}
            {{ caller() }}
        end loop;
{%- endmacro %}

{#- What a tag of the catalog says, which may have any form. -#}
{% macro read_tag() -%}
    name := case when jsonb_typeof(tag -> 'name') = 'string' then tag ->> 'name' end;
            label := {{ trim_white_space('name') }};
            accuracy := case jsonb_typeof(accuracy_json)
                when 'number' then accuracy_json::numeric
                when 'string' then {{ numeric_or_null("accuracy_json #>> '{}'") }}
            end;
            is_malformed := coalesce(label, '') = ''
                or (accuracy_json is not null and coalesce(accuracy not between 0 and 1, true));
{%- endmacro %}

{#- The variables of the loops and the rules, but those that the function returns. -#}
{% macro tag_variables(but=[]) -%}
    {%- set types = {
        'tag': 'jsonb',
        'provider': 'text',
        'name': 'text',
        'label': 'text',
        'accuracy_json': 'jsonb',
        'accuracy': 'numeric',
        'is_malformed': 'boolean',
        'is_machine_tag': 'boolean',
        'label_key': 'text',
        'decision': 'text',
    } -%}
    {%- for variable, type in types.items() if variable not in but -%}
        {{ variable }} {{ type }};
        {{- '\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- All tags of an image. -#}
{% macro create_merged_tags() -%}
    {%- call create_image_function('merged_tags', returns='jsonb') -%}
    declare
        {{ tag_variables() }}
        merged jsonb[] = '{}';
    begin
        {% call for_each_tag() -%}
            merged := merged || coalesce(tag, {{ machine_tag('name', 'accuracy', 'provider') }});
        {%- endcall %}
        return to_jsonb(merged);
    end
    {%- endcall -%}
{%- endmacro %}

{#- What a catalog's own machine tags say that are not malformed, as int_machine_labels has it: a row
    per provider; of a name twice the higher accuracy. -#}
{% macro create_catalog_labels() -%}
    create or replace function {{ target.schema }}.catalog_labels(tags jsonb, image_provider text)
    returns table (provider text, names text[], accuracies numeric[])
    language plpgsql immutable parallel safe cost 1000 rows 1
    as $$
    declare
        {{ tag_variables(but=['provider']) }}
        providers text[] = '{}';
        is_grouped boolean = true;
    begin
        names := '{}';
        accuracies := '{}';
        {% call for_each_own_tag(only_machine_tags=true) -%}
            continue when is_malformed;
            is_grouped := is_grouped
                and not label = any (names)
                and (names = '{}' or provider is not distinct from providers[1]);
            providers := providers || provider;
            names := names || label;
            accuracies := accuracies || accuracy;
        {%- endcall %}
        if names = '{}' then
            return;
        elsif is_grouped then
            provider := providers[1];
            return next;
        else
            return query
            select
                found.provider,
                array_agg(found.name order by {{ by_code_point('found.name') }}),
                array_agg(found.accuracy order by {{ by_code_point('found.name') }})
            from (
                select said.provider, said.name, max(said.accuracy) as accuracy
                from unnest(providers, names, accuracies) as said (provider, name, accuracy)
                group by 1, 2
            ) as found
            group by 1;
        end if;
    end
    $$;
{%- endmacro %}
