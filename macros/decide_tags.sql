{#- The rules by which a tag is shown or not, for a tag that for_each_tag has read. The first that
    holds decides. -#}
{% macro decide() -%}
    label_key := {{ lower_case('label') }};
        decision := case
            when is_malformed
                then 'malformed'
            when label_key like any (denied_patterns)
                then 'denied_pattern'
            when provider = any (withheld_providers)
                then 'provider_withheld'
            when
                accuracy < coalesce(
                    (minimum_accuracies -> label_key)::numeric,
                    (provider_minimum_accuracies -> provider)::numeric,
                    0.9
                )
                then 'below_minimum_accuracy'
            when not is_machine_tag
                then 'published'
            -- Of a label that is withheld, another spelling is sensitive too.
            when
                corrections ? label
                and coalesce(decisions ->> label_key, '') <> 'sensitive_label'
                then 'superseded_spelling'
            else coalesce(decisions ->> label_key, 'unreviewed_label')
        end;
{%- endmacro %}

{#- The tags of an image with what is decided on each: one row per tag. -#}
{% macro create_decided_tags() -%}
    {%- set returns -%}
        table (
            "position" bigint,
            name text,
            provider text,
            accuracy numeric,
            is_machine_tag boolean,
            decision text
        )
    {%- endset -%}
    {%- call create_image_function('decided_tags', returns, rows=20) -%}
    declare
        {{ tag_variables(but=['name', 'provider', 'accuracy', 'is_machine_tag', 'decision']) }}
    begin
        "position" := 0;
        {% call for_each_tag() -%}
            {{ decide() }}
            "position" := "position" + 1;
            return next;
        {%- endcall %}
    end
    {%- endcall -%}
{%- endmacro %}

{#- The tags of an image that are shown. -#}
{% macro create_published_tags() -%}
    {%- call create_image_function('published_tags', 'jsonb') -%}
    declare
        {{ tag_variables() }}
        published jsonb[] = '{}';
    begin
        -- Half of a machine's labels are below whatever any rule asks for.
        {% call for_each_tag(at_least='lowest_minimum_accuracy') -%}
            {{ decide() }}
            if decision = 'published' then
                published := published || coalesce(tag, {{ machine_tag('name', 'accuracy', 'provider') }});
            end if;
        {%- endcall %}
        return to_jsonb(published);
    end
    {%- endcall -%}
{%- endmacro %}

{#- The categories of an image's published machine tags that are flagged, in order. -#}
{% macro create_sensitivity() -%}
    {%- call create_image_function('sensitivity', 'text[]') -%}
    declare
        {{ tag_variables() }}
        categories text[] = '{}';
    begin
        {% call for_each_tag('lowest_minimum_accuracy', only_machine_tags=true) -%}
            continue when not flag_categories ? {{ lower_case('label') }};
            {{ decide() }}
            if decision = 'published' then
                categories := categories || (flag_categories ->> label_key);
            end if;
        {%- endcall %}
        if cardinality(categories) > 1 then
            categories := array(
                select distinct category from unnest(categories) as flagged (category) order by category
            );
        end if;
        return categories;
    end
    {%- endcall -%}
{%- endmacro %}
