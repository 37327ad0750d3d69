{#- For root the embedded server lies behind a link, which a copy of the project's folder has too. -#}
{% macro require_own_server() -%}
    {%- if execute and target.host.startswith('/proc/self/cwd/') -%}
        {#- Unless it is named, the profiles' folder is the one that dbt runs in, all links resolved. -#}
        {%- set here = flags.PROFILES_DIR -%}
        {%- set owner = run_query("select pg_read_file('../owner', 0, 4096, true)")[0][0] -%}
        {%- if owner is not none and here.startswith('/')
            and owner not in (here ~ '/.postgres', invocation_args_dict['project_dir'] ~ '/.postgres') -%}
            {{ exceptions.raise_compiler_error(
                "The embedded server of " ~ here ~ " belongs to " ~ owner
                ~ ": `python -m trial server start` gives this folder its own."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
