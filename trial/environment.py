"""The libpq variables that lead programs to the database which the loader uses."""

import os
from pathlib import Path

from psycopg.pq import Conninfo, PGconn

from loader.connect import DATABASE, ROLE, embedded_parameters, has_own_server


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
    elif "PGHOST" not in options:  # then it is where libpq looks by itself
        options["PGHOST"] = PGconn.connect_start(b"").host.decode()
    return {"PGDATABASE": DATABASE} | {name: options[name] for name in names if name in options}


def dbt_environment() -> dict[str, str]:
    """Return what dbt has to be told beside what profiles.yml finds by itself.

    No more, because dbt parses the whole project anew where another variable is set: after
    `make run` the user's own `dbt run` would wait for that.
    """
    if not has_own_server() and Path("/proc/self/cwd").exists():
        return {}
    by_itself = {"PGPORT": "5432", "PGUSER": os.environ.get("USER", ROLE), "PGDATABASE": DATABASE}
    found = {
        name: value
        for name, value in connection_environment().items()
        if name in os.environ or by_itself.get(name) != value
    }
    return found | password()


def password() -> dict[str, str]:
    """Return the password for dbt, which reads no PGSERVICE."""
    found = [option.val for option in Conninfo.get_defaults() if option.keyword == b"password"]
    return {"PGPASSWORD": found[0].decode()} if found and found[0] else {}
