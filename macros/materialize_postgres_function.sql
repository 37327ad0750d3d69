{% materialization postgres_function, adapter='postgres', supported_languages=['sql'] -%}
    {#- Without the database, whose name a copy or a restored dump does not share. -#}
    {%- set schema = this.include(database=false, identifier=false) -%}
    {%- set function = this.include(database=false) -%}
    {%- set body = sql | replace(this.include(identifier=false) ~ '.', schema ~ '.') -%}
    {%- set arguments = [] -%}
    {%- for argument in model.arguments -%}
        {%- do arguments.append(argument.name ~ ' ' ~ argument.data_type) -%}
    {%- endfor -%}
    {%- set types = model.arguments | map(attribute='data_type') | join(', ') -%}
    {%- set kind = 'aggregate' if config.get('type') == 'aggregate' else 'function' -%}

    {{ run_hooks(pre_hooks) }}

    {%- call statement('main') -%}
        {{ one_at_a_time(this) }}
        create or replace {{ kind }} {{ function }}({{ arguments | join(', ') }})
        {% if kind == 'aggregate' -%}
            (
                {{ body }}
            );
        {%- else -%}
            returns {{ model.returns.data_type }}
            {{ config.get('volatility') or 'immutable' }} parallel safe
            {{ config.meta_get('options') or '' }}
            {% if config.meta_get('language') == 'plpgsql' -%}
                -- Or operators of a reader's own would be handed what is not shown, see docs/security.md.
                language plpgsql set search_path = pg_catalog, pg_temp as $function$
                {{ body }}
                $function$;
            {%- else -%}
                language sql begin atomic
                {{ body }};
                end;
            {%- endif %}
        {%- endif %}
        comment on {{ kind }} {{ function }}({{ types }})
        is {{ postgres_escape_comment(model.description) }};
        -- Postgres asks this of who reads a view, and it is not everybody's in every database.
        grant execute on function {{ function }}({{ types }}) to public;
    {%- endcall -%}
    {%- do give_to_refresher(function ~ '(' ~ types ~ ')') -%}

    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return({'relations': [this]}) }}
{%- endmaterialization %}
