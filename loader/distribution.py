"""The tables of responses, distributed over the workers of a Citus cluster.

What is small, as the ledger, stays on the coordinator; all loads go through it.
"""

import psycopg

from loader.errors import UserError

# By what is spread evenly; a file's lines lie on all workers.
COLUMN = "response_id"


def distributed_tables(connection: psycopg.Connection) -> set[str]:
    """Return the names of the tables of raw that are distributed; none where there is no Citus."""
    if connection.execute("select to_regclass('pg_catalog.pg_dist_partition')").fetchone() == (
        None,
    ):
        return set()
    rows = connection.execute(
        """
        select relname
        from pg_dist_partition
        inner join pg_class on pg_class.oid = logicalrelid
        where relnamespace = 'raw'::regnamespace
        """
    )
    return {name for (name,) in rows}


def distribute(connection: psycopg.Connection, tables: list[str]) -> None:
    """Distribute tables of raw alike, with what they hold; those that are distributed stay."""
    require_citus(connection)
    there = distributed_tables(connection)
    first = f"raw.{tables[0]}"
    for table in tables:
        if table not in there:
            name = f"raw.{table}"
            connection.execute(
                "select create_distributed_table(%s, %s, colocate_with => %s)",
                (name, COLUMN, first if name != first else "none"),
            )
            # Of what it held, a copy is left on the coordinator that nobody sees.
            connection.execute("select truncate_local_data_after_distributing_table(%s)", (name,))


def require_citus(connection: psycopg.Connection) -> None:
    """Raise UserError where the database has no Citus."""
    query = "select exists(select from pg_extension where extname = 'citus')"
    if connection.execute(query).fetchone() != (True,):
        raise UserError(
            "the database has no Citus: say `create extension citus` in it on each node, and "
            "`select citus_add_node(…)` for each worker; or leave --distributed out"
        )
