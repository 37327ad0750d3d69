"""The roles of docs/security.md: what each can do, by trying, and that it can do its work."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from threading import Event
from typing import NamedTuple

import psycopg
import pytest
from conftest import Database, fresh_database
from loads import BAD, fails, fetch, write
from psycopg import errors, sql

from catalog.cli import cli
from loader.connect import PROJECT
from review.cli import cli as review
from trial.catalog import load_catalog
from trial.sample import write_sample
from trial.server import Server

ADMIN = "admin_of_roles"
SCHEMAS = ["raw", "catalog", "refinery", "tag_writes"]
NO_TESTS = ("--exclude-resource-types", "unit_test", "test")
IMAGE = "00000000-0000-4000-8000-00000000000f"
RESPONSE = '{"image_uuid": "%s", "response": {"Labels": [{"Name": "Cat", "Confidence": 99}]}}'


@dataclass(frozen=True)
class Login(Database):
    """The database as a role that logs in sees it."""

    user: str

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PGUSER": self.user}

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host, port=5432, user=self.user, dbname=self.name, autocommit=True
        )


# The table of docs/security.md


class Row(NamedTuple):
    """A line of the table: what it is about, and what each role may do."""

    kind: str
    patterns: list[str]
    rights: dict[str, str]


def table() -> list[Row]:
    """Return the table of who may do what."""
    lines = (PROJECT / "docs" / "security.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    heads, *rows = [row for row in rows if len(row) == 6 and set(row[0]) != {"-"}]
    roles = [head.strip("`") for head in heads[1:]]
    return [
        Row(
            row[0].split()[0] if row[0][0] != "`" else "relation",
            re.findall("`([^`]+)`", row[0]),
            dict(zip(roles, row[1:], strict=True)),
        )
        for row in rows
    ]


TABLE = table()
ROLES = list(TABLE[0].rights)


def written(kind: str, name: str, role: str) -> str:
    """Return what the table says that a role may do; an error for what is not in it."""
    found = [
        row.rights[role]
        for row in TABLE
        if row.kind == kind and any(fnmatch(name, pattern) for pattern in row.patterns)
    ]
    assert len(found) == 1, f"docs/security.md has {len(found)} rows for the {kind} {name}"
    return found[0]


# A database whose owner is no superuser, and a login for each role


@pytest.fixture(scope="module")
def admin(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    """A database of an ordinary role's, in which it has set all up and made the roles."""
    folder = tmp_path_factory.mktemp("roles")
    images, labels = write_sample(folder, images=300, labelled=200)
    with psycopg.connect(**server.parameters(), autocommit=True) as superuser:
        logins = [login_of(role) for role in ROLES]
        try:
            with fresh_database(server, "roles", folder) as fresh:
                superuser.execute(f"create role {ADMIN} login createrole")
                superuser.execute(f"alter database roles owner to {ADMIN}")
                owner = Login(fresh.host, fresh.name, fresh.folder, ADMIN)
                owner.loader("init")
                with owner.connect() as connection:
                    load_catalog(connection, images)
                owner.loader("load", labels)
                owner.build("run-operation", "create_roles")
                owner.build("build", *NO_TESTS)
                catalog(owner, "init")
                owner.build("run-operation", "create_roles")
                with owner.connect() as connection:
                    for role in ROLES:
                        connection.execute(f"create role {login_of(role)} login in role {role}")
                refresher = as_member(owner, "label_refresher")
                refresher.build("build", "--select", "models/evidence", "seeds/evidence", *NO_TESTS)
                catalog(as_member(owner, "catalog_writer"), "write-tags")
                yield owner
        finally:
            for role in [*logins, *ROLES, ADMIN]:
                superuser.execute(f"drop role if exists {role}")


def login_of(role: str) -> str:
    return f"login_of_{role}"


def as_member(admin: Login, role: str) -> Login:
    """Return the database as a member of a role sees it."""
    return Login(admin.host, admin.name, admin.folder, login_of(role))


def catalog(login: Login, *arguments: str) -> str:
    """Run a command of `python -m catalog` that has to succeed; return what it printed."""
    done = login.invoke(cli, *arguments)
    assert done.exit_code == 0, done.stderr
    return done.stdout


# Everything there is, tried

RELATIONS = """
select
    relnamespace::regnamespace::text as schema,
    relname,
    relkind = 'S' as is_sequence,
    array(
        select attname from pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped
    ) as columns
from pg_class
where relnamespace::regnamespace::text = any(%s) and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
order by 1, 2
"""
# A role may have a right to some columns alone.
RIGHTS = """
with verbs as (
    select verb, verb in ('select', 'insert', 'update', 'references') as is_of_columns
    from unnest(%(verbs)s::text[]) as verb
)
select verb
from verbs
where
    case
        when %(is_sequence)s then has_sequence_privilege(%(name)s, verb)
        else
            has_table_privilege(%(name)s, verb)
            or (is_of_columns and has_any_column_privilege(%(name)s, verb))
    end
"""
FUNCTIONS = """
select
    pronamespace::regnamespace::text as schema,
    proname,
    format(
        'select %%I.%%I(%%s)',
        pronamespace::regnamespace,
        proname,
        (
            select string_agg(format('null::%%s', format_type(type, null)), ', ' order by place)
            from unnest(proargtypes) with ordinality as argument (type, place)
        )
    ) as call
from pg_proc
where pronamespace::regnamespace::text = any(%s)
order by 1, 2
"""
OF_TABLES = ["select", "insert", "update", "delete", "truncate", "references", "trigger"]
SINCE_17 = ["maintain"]
TRIALS = {
    "select": "select * from {} limit 0",
    "insert": "insert into {} default values",
    "delete": "delete from {} where false",
    "truncate": "truncate {}",
    "trigger": """
        create trigger tried after insert on {} for each statement
        execute function pg_catalog.suppress_redundant_updates_trigger()
    """,
}
OF_SEQUENCES = ["select", "usage", "update"]
TRIALS_OF_SEQUENCES = {
    "select": "select last_value from {}",
    "update": "select setval({}, 1000000)",
}
# Of a view, whoever asks.
IMPOSSIBLE = (errors.ObjectNotInPrerequisiteState, errors.WrongObjectType)


def is_let(connection: psycopg.Connection, statement: str | sql.Composed) -> bool | None:
    """Try a statement and take it back; None if nobody could do it."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except errors.InsufficientPrivilege:
        return False
    except IMPOSSIBLE:
        return None
    except psycopg.Error:
        pass  # it was let try
    return True


def verbs_of(cell: str, all_verbs: list[str]) -> set[str]:
    return set(all_verbs) if cell == "owns" else {verb for verb in cell.split(", ") if verb}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_do_what_the_table_says_and_nothing_else(admin: Login, role: str) -> None:
    with as_member(admin, role).connect() as connection:
        of_tables = OF_TABLES + SINCE_17 * (connection.info.server_version >= 170000)
        for schema in SCHEMAS:
            cell = written("schema", schema, role)
            make = sql.SQL("create table {} ()").format(sql.Identifier(schema, "tried"))
            assert is_let(connection, make) is (cell == "owns"), schema
            uses = "select has_schema_privilege(%s, 'usage')"
            assert connection.execute(uses, (schema,)).fetchone() == (cell != "",), schema
        for schema, relation, is_sequence, columns in fetch(admin, RELATIONS, SCHEMAS):
            verbs = OF_SEQUENCES if is_sequence else of_tables
            may = verbs_of(written("relation", f"{schema}.{relation}", role), verbs)
            tried = try_all(connection, sql.Identifier(schema, relation), is_sequence, columns)
            does = {verb for verb, lets in tried.items() if lets}
            cannot = {verb for verb, lets in tried.items() if lets is None}
            assert does == may & (set(tried) - cannot), f"{schema}.{relation}"
            name = sql.Identifier(schema, relation).as_string(connection)
            if written("schema", schema, role):
                values = {"verbs": verbs, "is_sequence": is_sequence, "name": name}
                has = {verb for (verb,) in connection.execute(RIGHTS, values)}
                assert has == may, f"{schema}.{relation}"
        for schema, function, call in fetch(admin, FUNCTIONS, SCHEMAS):
            may_call = written("functions", schema, role) != ""
            assert is_let(connection, call) is may_call, f"{schema}.{function}"


def try_all(
    connection: psycopg.Connection, name: sql.Identifier, is_sequence: bool, columns: list[str]
) -> dict[str, bool | None]:
    """Return which verbs a role is let do, as far as they can be tried."""
    if is_sequence:
        literal = sql.Literal(name.as_string(connection))
        parts = {"select": name, "update": literal}
        return {
            verb: is_let(connection, sql.SQL(trial).format(parts[verb]))
            for verb, trial in TRIALS_OF_SEQUENCES.items()
        }
    tried = {verb: is_let(connection, sql.SQL(TRIALS[verb]).format(name)) for verb in TRIALS}
    updates = {
        is_let(
            connection,
            sql.SQL("update {} set {} = default where false").format(name, sql.Identifier(column)),
        )
        for column in columns
    }
    assert len(updates) == 1, f"{name.as_string(connection)}: a right to some columns alone"
    return tried | {"update": updates.pop()}


@pytest.mark.parametrize("kind", ["schema", "relation", "functions"])
def test_the_table_has_nothing_that_is_not_there(admin: Login, kind: str) -> None:
    there = {f"{schema}.{name}" for schema, name, _, _ in fetch(admin, RELATIONS, SCHEMAS)}
    if kind != "relation":
        there = set(SCHEMAS)
    for row in TABLE:
        for pattern in row.patterns if row.kind == kind else []:
            assert any(fnmatch(name, pattern) for name in there), pattern


# Each role does its work


def test_the_loader_runs_whole_as_its_role(admin: Login, tmp_path: Path) -> None:
    loader = as_member(admin, "label_loader")
    file = write(tmp_path / "more.jsonl", (RESPONSE % IMAGE).encode(), BAD)
    other = write(tmp_path / "other.jsonl", BAD, (RESPONSE % IMAGE).encode())
    for command in (
        *("init", "init --unlogged", "init --logged"),
        *(f"load --max-rejects 1 {file}", "status", "rejects", "retry-rejects"),
        *(f"load --labeller clarifai {other}", f"forget {other}"),
    ):
        loader.loader(*command.split())
    as_member(admin, "label_refresher").build("run", "--selector", "refresh")
    loader.loader("release", file)
    loader.loader("forget", file)


def test_dbt_runs_whole_as_its_role_and_no_reader_is_refused(admin: Login) -> None:
    refresher = as_member(admin, "label_refresher")
    reader = as_member(admin, "label_reader")
    done = Event()
    with ThreadPoolExecutor(1) as threads:
        reads = threads.submit(read_until, reader, done)
        try:
            refresher.build("run")
            refresher.dbt("build", "--full-refresh", "--select", "*")
            refresher.build("source", "freshness")
        finally:
            done.set()
        assert reads.result() > 20
    failed = [
        each
        for each in refresher.results()
        if each["status"] not in ("success", "pass", "warn", "no-op")
    ]
    assert not [each["unique_id"] + str(each["message"])[:300] for each in failed]
    assert others_relations(admin) == []


def read_until(database: Database, done: Event) -> int:
    reads = 0
    with database.connect() as connection:
        while not done.wait(0.02):
            connection.execute("select * from refinery.safe_images").fetchall()
            reads += 1
    return reads


def others_relations(database: Database) -> list[tuple[str]]:
    """Return what in a schema is not its owner's."""
    query = """
        select relname::text from pg_class
        inner join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = any(%s) and relowner <> nspowner and nspname <> 'catalog'
        union all
        select proname::text from pg_proc
        inner join pg_namespace on pg_namespace.oid = pronamespace
        where nspname = any(%s) and proowner <> nspowner
    """
    return fetch(database, query, SCHEMAS, SCHEMAS)


def test_tags_are_written_into_the_catalog_by_their_role(admin: Login) -> None:
    writer = as_member(admin, "catalog_writer")
    for command in ("init", "undo", "drop-backup 1", "write-tags --published", "status"):
        catalog(writer, *command.split())
    assert others_relations(admin) == []


def test_a_reviewer_explains_and_looks(admin: Login, tmp_path: Path) -> None:
    ((image,),) = fetch(admin, "select identifier::text from catalog.image limit 1")
    reviewer = as_member(admin, "label_reviewer")
    for command in (["explain", image], ["page", "--output", tmp_path / "page"]):
        done = reviewer.invoke(review, *command)
        assert done.exit_code == 0, done.stderr


def test_what_whoever_made_is_the_groups(admin: Login) -> None:
    """Also what he makes anew who has made the roles, for whom `dbt run` works as before."""
    with admin.connect() as connection:
        connection.execute("alter table catalog.image add column more text")
        connection.execute("drop table raw.azure_vision_responses cascade")
    admin.loader("init")
    assert others_relations(admin) == []
    done = as_member(admin, "label_refresher").dbt("run")
    assert done.returncode == 2  # dbt's, for what could not begin
    assert "login_of_label_refresher lacks SELECT on raw.azure_vision_responses. " in done.stdout
    assert "`dbt run-operation create_roles`" in done.stdout
    admin.build("run-operation", "create_roles")
    with admin.connect() as connection:
        connection.execute("drop function refinery.machine_tag cascade")
    admin.build("build", *NO_TESTS)
    admin.build("run", "--full-refresh")
    assert others_relations(admin) == []
    with as_member(admin, "label_reader").connect() as reader:
        reader.execute("select more, tags from refinery.safe_images").fetchall()
    as_member(admin, "label_refresher").build("run")


def test_what_is_granted_beside_the_table_is_taken_back(admin: Login) -> None:
    def may(role: str, relation: str) -> bool:
        query = "select has_table_privilege(%s, %s, 'select')"
        return fetch(admin, query, role, relation) == [(True,)]

    with admin.connect() as connection:
        connection.execute("grant select on refinery.machine_tags to public, label_reviewer")
        connection.execute("grant select on raw.rejected_lines to label_reader")
        connection.execute("revoke select on refinery.published_images from label_reader")
    admin.build("run", "--select", "machine_tags", "published_images")
    assert not may("label_reviewer", "refinery.machine_tags")
    assert may("label_reader", "refinery.published_images")
    said = admin.dbt("run-operation", "create_roles").stdout
    assert "1 owners and rights changed" in said
    assert not may("label_reader", "raw.rejected_lines")
    assert "All is as it should be" in admin.dbt("run-operation", "create_roles").stdout


# What a reader of bad intent tries


@pytest.fixture
def spied_on(admin: Login) -> Iterator[psycopg.Connection]:
    """A reader with a schema of its own to create in, and an image of which not all is shown."""
    reader = login_of("label_reader")
    with admin.connect() as owner:
        owner.execute(f"create schema spying; grant all on schema spying to {reader}")
        owner.execute(
            """
            insert into catalog.image (identifier, provider, tags) values
            (%s, 'of spies', '[
                {"name": "shown", "provider": "of spies"},
                {"name": "by-hidden-nd", "provider": "of spies", "accuracy": 0.1},
                {"name": "Hidden", "provider": "unheard-of"}
            ]')
            """,
            (IMAGE,),
        )
        try:
            with as_member(admin, "label_reader").connect() as connection:
                yield connection
        finally:
            owner.execute("delete from catalog.image where identifier = %s", (IMAGE,))
            owner.execute("drop schema spying cascade")


def seen_by(connection: psycopg.Connection, statements: list[str]) -> list[str]:
    """Return what a reader's functions have been handed while statements ran."""
    seen: list[str] = []
    connection.add_notice_handler(lambda notice: seen.append(str(notice.message_primary)))
    for statement in statements:
        connection.execute(statement)
    return seen


def test_a_leaky_function_sees_no_unpublished_tag(spied_on: psycopg.Connection) -> None:
    spied_on.execute(
        """
        create function spying.spy(seen anyelement) returns boolean language plpgsql
        cost 0.0000001 as $$ begin raise notice '%', seen; return true; end $$
        """
    )
    query = "select count(*) from refinery.{} as image where spying.spy({})"
    seen = seen_by(
        spied_on,
        [
            query.format(view, what)
            for view in ("published_images", "safe_images")
            for what in ("tags", "sensitivity", "title", "provider", "image", "tags::text")
        ],
    )
    assert any("shown" in each for each in seen)
    assert not [each for each in seen if "hidden" in each.lower()]


# Each takes what Postgres' own would in the functions behind the views, and says what it got.
CAPTURES = """
create function spying.lower(seen text) returns text language plpgsql as
$$ begin raise notice '%', seen; return pg_catalog.lower(seen); end $$;
create function spying.jsonb_array_length(seen jsonb) returns integer language plpgsql as
$$ begin raise notice '%', seen; return pg_catalog.jsonb_array_length(seen); end $$;
create function spying.element(seen jsonb, place integer) returns jsonb language plpgsql as
$$ begin raise notice '%', seen; return pg_catalog.jsonb_array_element(seen, place); end $$;
create function spying.differs(seen jsonb, other jsonb) returns boolean language plpgsql as
$$ begin raise notice '%', seen; return pg_catalog.jsonb_ne(seen, other); end $$;
create operator spying.-> (function = spying.element, leftarg = jsonb, rightarg = integer);
create operator spying.<> (function = spying.differs, leftarg = jsonb, rightarg = jsonb);
set search_path = spying, pg_catalog;
"""


def test_operators_of_a_readers_own_are_not_taken_for_postgres(
    spied_on: psycopg.Connection,
) -> None:
    read = "select tags from refinery.published_images where provider = 'of spies'"
    assert seen_by(spied_on, [CAPTURES, read, f"explain analyze {read}"]) == []
    assert spied_on.execute(read).fetchone() == ([{"name": "shown", "provider": "of spies"}],)
    # They would be: a function that is not pinned is led astray.
    unpinned = "do $$ begin perform '[1]'::jsonb -> 0; end $$"
    assert seen_by(spied_on, [unpinned]) == ["[1]"]


def test_every_function_is_pinned(admin: Login) -> None:
    """Bound when it was made, or by a search_path of its own; none runs with another's rights."""
    query = """
        select proname from pg_proc
        where
            pronamespace::regnamespace::text = any(%s)
            and prokind <> 'a'
            and (
                prosecdef
                or (
                    prosqlbody is null
                    and proconfig is distinct from '{"search_path=pg_catalog, pg_temp"}'
                )
            )
    """
    assert fetch(admin, query, SCHEMAS) == []


# Without the rights


OTHER_NAMES = {
    role: f"odd \"{role}'s" for role in ("loader", "refresher", "reviewer", "reader", "writer")
}


def test_who_lacks_rights_is_told_which_and_makes_nothing(admin: Login) -> None:
    def refused(login: Login, *arguments: str) -> str:
        done = login.dbt(*arguments)
        assert done.returncode == (1 if arguments[0] == "run-operation" else 2)
        assert "Traceback" not in done.stdout
        count = "select count(*) from pg_roles where rolname like 'odd %%'"
        assert fetch(admin, count) == [(0,)]
        return done.stdout

    names = ("--vars", json.dumps({"roles": OTHER_NAMES}))
    reader = as_member(admin, "label_reader")
    assert "login_of_label_reader lacks CREATEROLE to make" in refused(
        reader, "run-operation", "create_roles", *names
    )
    with admin.connect() as connection:
        connection.execute("create role stranger login createrole")
        try:
            stranger = Login(admin.host, admin.name, admin.folder, "stranger")
            said = refused(stranger, "run-operation", "create_roles", *names)
            assert "ownership of schema raw (which is label_loader's), ownership of" in said
            assert "a superuser is not needed" in said
        finally:
            connection.execute("drop role stranger")
    said = refused(reader, "run")
    assert "lacks USAGE on the schema catalog; USAGE on the schema raw; " in said
    assert "has to run as a member of label_refresher" in said
    said = fails(reader, "status")
    assert "permission denied for schema raw" in said
    assert "docs/security.md" in said


def test_roles_have_the_names_that_the_var_says(admin: Login) -> None:
    names = {"loader": "label_loader", "refresher": "label_refresher", "writer": "catalog_writer"}
    names |= {role: OTHER_NAMES[role] for role in ("reviewer", "reader")}
    reader = OTHER_NAMES["reader"]
    may = "select has_table_privilege(%s, 'refinery.safe_images', 'select')"
    try:
        admin.build("run-operation", "create_roles", "--vars", json.dumps({"roles": names}))
        assert fetch(admin, may, reader) == [(True,)]
    finally:
        with admin.connect() as connection:
            for role in ("reviewer", "reader"):
                name = sql.Identifier(OTHER_NAMES[role])
                connection.execute(sql.SQL("set role label_refresher"))
                connection.execute(
                    sql.SQL("revoke all on all tables in schema refinery from {}").format(name)
                )
                connection.execute(sql.SQL("revoke all on schema refinery from {}").format(name))
                connection.execute("reset role")
                connection.execute(sql.SQL("drop role {}").format(name))
