"""The roles of docs/security.md: what each may do, and that it can do its work."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import psycopg
import pytest
from conftest import PARSED, WITHOUT_TESTS, Database, clone
from loads import BAD, fails, fetch, polled, write
from psycopg import errors, sql
from test_catalog_writes import refuses, says

from loader.connect import PROJECT
from review.cli import cli as review
from trial.server import ROLE, Server

ADMIN = "admin_of_roles"
READ = """
select md5(string_agg(image::text, '' order by identifier)) from refinery.safe_images as image
"""
SCHEMAS = ["raw", "catalog", "refinery", "tag_writes"]
NO_GENERIC_TESTS = ("--exclude", "test_type:generic", "test_type:unit")
IMAGE = "00000000-0000-4000-8000-00000000000f"
RESPONSE = '{"image_uuid": "%s", "response": {"Labels": [{"Name": "Cat", "Confidence": 99}]}}'


# The table of docs/security.md


def table() -> dict[tuple[str, str], dict[str, str]]:
    """Return what each role may do with each kind of thing, by the pattern of its name."""
    lines = (PROJECT / "docs" / "security.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    heads, *rows = [row for row in rows if len(row) == 6 and set(row[0]) != {"-"}]
    roles = [head.strip("`") for head in heads[1:]]
    return {
        (what.split()[0] if what[0] != "`" else "relation", pattern): cells
        for what, cells in ((row[0], dict(zip(roles, row[1:], strict=True))) for row in rows)
        for pattern in re.findall("`([^`]+)`", what)
    }


TABLE = table()
ROLES = list(next(iter(TABLE.values())))


def written(kind: str, name: str, role: str) -> str:
    """Return what the table says that a role may do; an error for what is not in it."""
    found = [
        cells[role]
        for (kinds, pattern), cells in TABLE.items()
        if kind == kinds and fnmatch(name, pattern)
    ]
    assert len(found) == 1, f"docs/security.md has {len(found)} rows for the {kind} {name}"
    return found[0]


# A database whose owner is no superuser, and a login for each role


@pytest.fixture(scope="module")
def admin(
    server: Server, built_few: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The project as one sees it who is no superuser, owns all, and has made the roles."""
    folder = tmp_path_factory.mktemp("roles")
    with psycopg.connect(**server.parameters(), autocommit=True) as superuser:
        try:
            # To be a superuser is not inherited.
            superuser.execute(f"create role {ADMIN} login createrole in role {ROLE}")
            with clone(server, built_few, "roles", folder) as built:
                owner = replace(built, user=ADMIN)
                says(owner, "init")
                owner.build("run-operation", "create_roles")
                # Only macros read the roles' names, when they run.
                PARSED["".join(NAMED_OTHERWISE)] = PARSED[""]
                with owner.connect() as connection:
                    for role in ROLES:
                        connection.execute(f"create role {login_of(role)} login in role {role}")
                yield owner
        finally:
            for role in [*map(login_of, ROLES), *ROLES, ADMIN]:
                superuser.execute(f"drop role if exists {role}")


@pytest.fixture(scope="module")
def used(admin: Database) -> Database:
    """The same, in which dbt has made all anew as its role, and others read and wrote as theirs."""
    refresher = as_member(admin, "label_refresher")
    with polled(as_member(admin, "label_reader"), READ):
        refresher.build("build", "--full-refresh", "--select", "*", *NO_GENERIC_TESTS)
    refresher.build("source", "freshness")
    assert others_relations(admin) == []
    says(as_member(admin, "catalog_writer"), "write-tags")
    return admin


def login_of(role: str) -> str:
    return f"login_of_{role}"


def as_member(admin: Database, role: str) -> Database:
    """Return the database as a member of a role sees it."""
    return replace(admin, user=login_of(role))


# Everything there is, and what a role may do with it

# Of each thing: its kind, its name, what may be done with such a thing, and what the role may do.
RIGHTS = """
with schemas as (
    select oid, nspname as name, has_schema_privilege(oid, 'usage') as is_usable
    from pg_namespace where nspname = any(%s)
),
things (kind, name, oid, is_usable, verbs) as (
    select 'schema', name, oid, true, '{usage, create}'::text[] from schemas
    union all
    select 'functions', name, pg_proc.oid, is_usable, '{execute}'
    from pg_proc inner join schemas on schemas.oid = pronamespace
    union all
    select 'relation', name || '.' || relname, pg_class.oid, is_usable, case
        when relkind = 'S' then '{select, usage, update}'::text[]
        when current_setting('server_version_num')::integer < 170000
        then '{select, insert, update, delete, truncate, references, trigger}'
        else '{select, insert, update, delete, truncate, references, trigger, maintain}'
    end
    from pg_class inner join schemas on schemas.oid = relnamespace
    where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
)
select kind, name, verbs, array(
    select verb from unnest(verbs) as verb
    where is_usable and case
        when kind = 'schema' then has_schema_privilege(oid, verb)
        when kind = 'functions' then has_function_privilege(oid, verb)
        when 'usage' = any(verbs) then has_sequence_privilege(oid, verb)
        else has_table_privilege(oid, verb)
    end
)
from things
"""
RIGHTS_TO_SOME_COLUMNS = """
select attname from pg_attribute inner join pg_class on pg_class.oid = attrelid
where attacl is not null and relnamespace::regnamespace::text = any(%s)
"""


@pytest.mark.both_versions
@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_do_what_the_table_says_and_nothing_else(used: Database, role: str) -> None:
    member = as_member(used, role)
    with member.connect() as connection:
        for kind, name, verbs, may in fetch(member, RIGHTS, SCHEMAS):
            cell = written(kind, name, role)
            want = verbs if cell == "owns" else [verb for verb in cell.split(", ") if verb]
            assert set(may) == set(want), name
            if kind == "relation":
                assert is_let_read(connection, name) is ("select" in want), name


def is_let_read(connection: psycopg.Connection, name: str) -> bool:
    try:
        connection.execute(f"table {name} limit 0")
    except errors.InsufficientPrivilege:
        return False
    return True


def test_the_table_has_nothing_that_is_not_there(used: Database) -> None:
    assert fetch(used, RIGHTS_TO_SOME_COLUMNS, SCHEMAS) == []
    there = [(kind, name) for kind, name, _, _ in fetch(used, RIGHTS, SCHEMAS)]
    for kind, pattern in TABLE:
        assert any(kind == other and fnmatch(name, pattern) for other, name in there), pattern


# Each role does its work


def test_the_loader_runs_whole_as_its_role(admin: Database, tmp_path: Path) -> None:
    loader = as_member(admin, "label_loader")
    file = write(tmp_path / "more.jsonl", (RESPONSE % IMAGE).encode(), BAD)
    other = write(tmp_path / "other.jsonl", BAD, (RESPONSE % IMAGE).encode())
    for command in (
        *("init", "init --unlogged", "init --logged"),
        *(f"load --max-rejects 1 {file}", "status", "rejects", "retry-rejects"),
        *(f"load --labeller clarifai {other}", f"forget {other}"),
    ):
        loader.loader(*command.split())
    as_member(admin, "label_refresher").build("run", "--select", "int_rekognition_labels")
    loader.loader("release", file)
    loader.loader("forget", file)


@pytest.mark.slow
def test_each_of_dbts_tests_runs_as_its_role(used: Database) -> None:
    refresher = as_member(used, "label_refresher")
    refresher.dbt("test", "--select", "*")
    assert {each["status"] for each in refresher.results()} <= {"pass", "warn"}


def others_relations(database: Database) -> list[tuple[str]]:
    """Return what in a schema is not its owner's."""
    query = """
        select made.name from pg_namespace inner join (
            select relname, relnamespace, relowner from pg_class
            union all
            select proname, pronamespace, proowner from pg_proc
        ) as made (name, in_schema, owner) on made.in_schema = pg_namespace.oid
        where nspname = any(%s) and nspname <> 'catalog' and made.owner <> nspowner
    """
    return fetch(database, query, SCHEMAS)


def test_tags_are_written_into_the_catalog_by_their_role(used: Database) -> None:
    writer = as_member(used, "catalog_writer")
    for command in ("init", "undo", "drop-backup 1", "write-tags --published", "status"):
        says(writer, *command.split())
    assert others_relations(used) == []


def test_a_reviewer_explains_and_looks(admin: Database, tmp_path: Path) -> None:
    ((image,),) = fetch(admin, "select identifier::text from catalog.image limit 1")
    reviewer = as_member(admin, "label_reviewer")
    for command in (["explain", image], ["page", "--output", tmp_path / "page"]):
        done = reviewer.invoke(review, *command)
        assert done.exit_code == 0, done.stderr


def test_what_whoever_made_is_the_groups(admin: Database) -> None:
    """Also what he makes anew who has made the roles, for whom `dbt run` works as before."""
    with admin.connect() as connection:
        connection.execute("alter table catalog.image add column more text")
        connection.execute("drop table raw.azure_vision_responses cascade")
    admin.loader("init")
    assert others_relations(admin) == []
    refresher = as_member(admin, "label_refresher")
    done = refresher.dbt("run")
    assert done.returncode == 2  # dbt's, for what could not begin
    assert "login_of_label_refresher lacks SELECT on raw.azure_vision_responses. " in done.stdout
    assert "`dbt run-operation create_roles`" in done.stdout
    admin.build("run-operation", "create_roles")
    with admin.connect() as connection:
        connection.execute("drop function refinery.machine_tag cascade")
    made = ("stg_catalog__images", "machine_tag+", "stg_azure_vision__responses+", "tag_providers")
    admin.build("build", "--full-refresh", "--select", *made, *WITHOUT_TESTS)
    assert others_relations(admin) == []
    with as_member(admin, "label_reader").connect() as reader:
        reader.execute("select more, tags from refinery.safe_images").fetchall()
    refresher.build("run", "--select", *made)


def test_what_is_granted_beside_the_table_is_taken_back(admin: Database) -> None:
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
def spied_on(admin: Database) -> Iterator[psycopg.Connection]:
    """A reader with a schema of its own to create in, and an image of which not all is shown."""
    reader = login_of("label_reader")
    with admin.connect() as owner:
        owner.execute(f"create schema spying; grant all on schema spying to {reader}")
        owner.execute(
            """
            insert into catalog.image (identifier, provider, tags) values
            ('00000000-0000-4000-8000-00000000000e', 'of spies', '[
                {"name": "shown", "provider": "of spies"},
                {"name": "by-hidden-nd", "provider": "of spies", "accuracy": 0.1},
                {"name": "Hidden", "provider": "unheard-of"}
            ]')
            """
        )
        try:
            with as_member(admin, "label_reader").connect() as connection:
                yield connection
        finally:
            owner.execute("delete from catalog.image where provider = 'of spies'")
            owner.execute("drop schema spying cascade")


def seen_by(connection: psycopg.Connection, *statements: str) -> list[str]:
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
    columns = ("tags", "sensitivity", "title", "provider", "image", "tags::text")
    for view in ("published_images", "safe_images"):
        seen = seen_by(spied_on, *(query.format(view, column) for column in columns))
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
    assert seen_by(spied_on, CAPTURES, read, f"explain analyze {read}") == []
    assert spied_on.execute(read).fetchone() == ([{"name": "shown", "provider": "of spies"}],)
    # They would be: a function that is not pinned is led astray.
    unpinned = "do $$ begin perform '[1]'::jsonb -> 0; end $$"
    assert seen_by(spied_on, unpinned) == ["[1]"]


def test_every_function_is_pinned(admin: Database) -> None:
    """Bound when it was made, or by a search_path of its own; none runs with another's rights."""
    query = """
        select proname from pg_proc
        where pronamespace::regnamespace::text = any(%s) and prokind <> 'a' and (
            prosecdef
            or prosqlbody is null
            and proconfig is distinct from '{"search_path=pg_catalog, pg_temp"}'
        )
    """
    assert fetch(admin, query, SCHEMAS) == []


# Without the rights


OTHER_NAMES = {
    role: f"odd \"{role}'s" for role in ("loader", "refresher", "reviewer", "reader", "writer")
}
NAMED_OTHERWISE = ("--vars", json.dumps({"roles": OTHER_NAMES}))


def test_who_lacks_rights_is_told_which_and_makes_nothing(admin: Database) -> None:
    def refused(login: Database, *arguments: str) -> str:
        done = login.dbt(*arguments)
        assert done.returncode == (1 if arguments[0] == "run-operation" else 2)
        assert "Traceback" not in done.stdout
        made = "select from pg_roles where rolname like 'odd %%'"
        assert fetch(admin, made) == []
        return done.stdout

    create_roles = ("run-operation", "create_roles", *NAMED_OTHERWISE)
    reader = as_member(admin, "label_reader")
    assert "login_of_label_reader lacks CREATEROLE to make" in refused(reader, *create_roles)
    with admin.connect() as connection:
        connection.execute("create role stranger login createrole")
        try:
            said = refused(replace(admin, user="stranger"), *create_roles)
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
    said = refuses(reader, "write-tags")
    for right in (
        *("select, update on catalog.image", "select on refinery.catalog_images"),
        *("usage on schema tag_writes", "insert, select, update on tag_writes.backups"),
    ):
        assert right in said
    assert "on refinery.published_images" not in said


def test_roles_have_the_names_that_the_var_says(
    server: Server, admin: Database, tmp_path: Path
) -> None:
    may = "select has_table_privilege(%s, 'refinery.safe_images', 'select')"
    names = map(sql.Identifier, OTHER_NAMES.values())
    try:
        with clone(server, admin, "renamed", tmp_path) as copy:
            renamed = replace(copy, user=ADMIN)
            renamed.build("run-operation", "create_roles", *NAMED_OTHERWISE)
            assert fetch(renamed, may, OTHER_NAMES["reader"]) == [(True,)]
    finally:
        with psycopg.connect(**server.parameters(), autocommit=True) as superuser:
            superuser.execute(sql.SQL("drop role {}").format(sql.SQL(", ").join(names)))
