{% materialization postgres_function, adapter='postgres', supported_languages=['sql'] -%}
    {%- set function = this.include(database=false) -%}
    {%- set arguments, types = [], [] -%}
    {%- for argument in model.arguments -%}
        {%- do arguments.append(argument.name ~ ' ' ~ argument.data_type) -%}
        {%- do types.append(argument.data_type) -%}
    {%- endfor -%}
    {#- Without the database, whose name a copy or a restored dump does not share. -#}
    {%- set body = sql | replace(this.include(identifier=false) ~ '.', this.include(database=false, identifier=false) ~ '.') -%}

    {{ run_hooks(pre_hooks) }}

    {%- call statement('main') -%}
        {% if config.get('type') == 'aggregate' -%}
            create or replace aggregate {{ function }} ({{ arguments | join(', ') }}) (
                {{ body }}
            );
        {%- else -%}
            create or replace function {{ function }}({{ arguments | join(', ') }})
            returns {{ model.returns.data_type }}
            {{ config.get('volatility') or 'immutable' }} parallel safe {{ config.meta_get('options', '') }}
            {% if config.meta_get('language') == 'plpgsql' -%}
                language plpgsql as $function$
                {{ body }}
                $function$;
            {%- else -%}
                language sql begin atomic
                {{ body }};
                end;
            {%- endif %}
        {%- endif %}
        -- Postgres asks this of who reads a view, and it is not everybody's in every database.
        grant execute on function {{ function }}({{ types | join(', ') }}) to public;
    {%- endcall -%}

    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return({'relations': [this]}) }}
{%- endmaterialization %}
