"""The tables of responses, distributed over the workers of a Citus cluster.

What is small, as the ledger, stays on the coordinator; all loads go through it.
"""

import psycopg

from loader.errors import UserError


def distributed_tables(connection: psycopg.Connection) -> set[str]:
    """Return the names of the tables of raw that are distributed; none where there is no Citus."""
    if not has_citus(connection):
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
    """Distribute tables of raw, with what they hold; those that are distributed stay."""
    if not has_citus(connection):
        raise UserError(
            "the database has no Citus: say `create extension citus` in it on each node, and "
            "`select citus_add_node(…)` for each worker; or leave --distributed out"
        )
    there = distributed_tables(connection)
    for name in (f"raw.{table}" for table in tables if table not in there):
        # By what spreads a file's lines evenly.
        connection.execute("select create_distributed_table(%s, 'response_id')", (name,))
        # Of what it held, a copy is left on the coordinator that nobody sees.
        connection.execute("select truncate_local_data_after_distributing_table(%s)", (name,))


def has_citus(connection: psycopg.Connection) -> bool:
    """Whether the database has Citus."""
    query = "select exists(select from pg_extension where extname = 'citus')"
    return connection.execute(query).fetchone() == (True,)
