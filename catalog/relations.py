"""What is read and written: the catalog's table, what dbt has built on it, and the rights to it."""

from dataclasses import dataclass
from typing import NamedTuple

import psycopg
from psycopg import sql

from loader.errors import UserError
from loader.labellers import labellers
from review.live import manifest, schema_of

EVERYTHING, PUBLISHED = "catalog_images", "published_images"
TIMES = ("timestamp with time zone", "timestamp without time zone")


class Name(NamedTuple):
    """Of a relation."""

    schema: str
    relation: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.relation}"

    @property
    def sql(self) -> sql.Identifier:
        """As a statement has it."""
        return sql.Identifier(*self)


LEDGER = tuple(Name("tag_writes", table) for table in ("runs", "batches", "backups"))


@dataclass(frozen=True)
class Relations:
    """The catalog's table, the view whose tags it is given, and dbt's stores of labels."""

    catalog: Name
    view: Name
    stores: tuple[Name, ...]


def find_relations(connection: psycopg.Connection, view: str, touch: str | None) -> Relations:
    """Return the relations; raises UserError for what is missing, of another type, or not ours."""
    models = [view, *(f"int_{labeller}_labels" for labeller in labellers())]
    built, *stores = (Name(schema_of(model), model) for model in models)
    found = Relations(_catalog_table(), built, tuple(stores))
    for name in (found.view, *found.stores):
        if not _columns(connection, name):
            raise UserError(f"{name} is not there: run `dbt build` first")
    _require_columns(connection, found.catalog, touch)
    _require_rights(connection, found)
    return found


def _catalog_table() -> Name:
    sources = manifest().get("sources", {}).values()
    named = [source for source in sources if source["source_name"] == "catalog"]
    if len(named) != 1:
        raise UserError("dbt has not said yet which table the catalog is: run `dbt build` first")
    return Name(named[0]["schema"], named[0]["identifier"])


def _columns(connection: psycopg.Connection, name: Name) -> dict[str, str]:
    """Return a relation's columns with their types, whoever may read it; none: it is not there."""
    rows = connection.execute(
        """
        select attname, format_type(atttypid, null)
        from pg_attribute
        inner join pg_class on pg_class.oid = attrelid
        inner join pg_namespace on pg_namespace.oid = relnamespace
        where nspname || '.' || relname = %s and attnum > 0 and not attisdropped
        """,
        (str(name),),
    )
    return dict(rows.fetchall())


def _require_columns(connection: psycopg.Connection, catalog: Name, touch: str | None) -> None:
    columns = _columns(connection, catalog)
    if not columns:
        raise UserError(
            f"there is no table {catalog}: set the vars catalog_schema and catalog_table, "
            "then run `dbt build`"
        )
    needed = {"identifier": ("uuid",), "tags": ("jsonb",)} | ({touch: TIMES} if touch else {})
    for column, types in needed.items():
        if columns.get(column) not in types:
            has = f"is {columns[column]} now" if column in columns else "is not there"
            raise UserError(
                f"{catalog} needs a column {column} of type {types[0]}; it {has}. Nothing "
                "was written."
            )


def _require_rights(connection: psycopg.Connection, relations: Relations) -> None:
    wanted = [
        *((relations.catalog, right) for right in ("select", "update")),
        *((built, "select") for built in (relations.view, *relations.stores)),
        *((table, right) for table in LEDGER for right in ("select", "insert", "update")),
    ]
    names, rights = zip(*wanted, strict=True)
    missing = connection.execute(
        """
        with wanted as (
            select name, right_, nspname, pg_class.oid
            from unnest(%s::text[], %s::text[]) as wanted (name, right_)
            inner join pg_namespace on true
            inner join pg_class on relnamespace = pg_namespace.oid
            where nspname || '.' || relname = name
        )
        select distinct 'usage on schema ' || nspname from wanted
        where not has_schema_privilege(nspname, 'usage')
        union all
        select string_agg(right_, ', ' order by right_) || ' on ' || name from wanted
        where not has_table_privilege(oid, right_) group by name
        union all
        select 'create on schema tag_writes' where not has_schema_privilege('tag_writes', 'create')
        order by 1
        """,
        (list(map(str, names)), list(rights)),
    ).fetchall()
    if missing:
        (role,) = connection.execute("select current_user").fetchone() or ("",)
        rights = "; ".join(right for (right,) in missing)
        raise UserError(f"the role {role} lacks {rights}. Nothing was written.")
