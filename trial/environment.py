"""The libpq variables that lead programs to the database which the loader uses."""

from psycopg.pq import Conninfo

from loader.connect import DATABASE, embedded_parameters, has_own_server


def connection_environment() -> dict[str, str]:
    """Return the libpq variables that lead to the database, without the password.

    For programs that do not read `PGSERVICE` themselves, as dbt.
    """
    names = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE")
    if not has_own_server():
        return dict(zip(names, embedded_parameters().values(), strict=False))
    # libpq's own answer: environment, service file and built-in defaults in one.
    options = {
        option.envvar.decode(): option.val.decode()
        for option in Conninfo.get_defaults()
        if option.envvar and option.val
    }
    if "PGHOSTADDR" in options:
        options["PGHOST"] = options["PGHOSTADDR"]
    return {"PGDATABASE": DATABASE} | {name: options[name] for name in names if name in options}


def password() -> dict[str, str]:
    """Return the password for dbt, which reads no PGSERVICE."""
    found = [option.val for option in Conninfo.get_defaults() if option.keyword == b"password"]
    return {"PGPASSWORD": found[0].decode()} if found and found[0] else {}
