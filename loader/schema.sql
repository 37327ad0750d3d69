-- The loader's own relations. Repeatable: `python -m loader init` runs it each time.

-- Of a schema that is there `create schema if not exists` asks for the right to make one.
do $$
begin
    if to_regnamespace('raw') is null then
        create schema raw;
    end if;
end
$$;
comment on schema raw is
'Label Refinery: label files as they came, and the ledger of what has been loaded.';

create table if not exists raw.loaded_files (
    file_id bigint generated always as identity primary key,
    name text not null,
    bytes bigint,
    fingerprint text not null unique,
    chunk_bytes bigint not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz
);
-- New in 0.3.
alter table raw.loaded_files
add column if not exists labeller text not null default 'rekognition',
add column if not exists released_at timestamptz;
comment on table raw.loaded_files is
'Label files that a load has begun. One row per file, known by its content.';
comment on column raw.loaded_files.name is 'Where the file was when it was last given to the loader.';
comment on column raw.loaded_files.bytes is 'As the file is stored; null for standard input.';
comment on column raw.loaded_files.fingerprint is
'Size and SHA-256 of the file, or of 64 parts of one over 64 MiB.';
comment on column raw.loaded_files.chunk_bytes is
'Bytes after which a chunk ends with its line; set by the first load, so that borders stay.';
comment on column raw.loaded_files.finished_at is 'When its last chunk was loaded; null before.';
comment on column raw.loaded_files.labeller is 'Whose responses it holds.';
comment on column raw.loaded_files.released_at is 'When `release` took its documents; null before.';

create table if not exists raw.loaded_chunks (
    chunk_id bigint generated always as identity primary key,
    file_id bigint not null references raw.loaded_files,
    first_byte bigint not null,
    end_byte bigint not null,
    checksum bigint not null,
    loaded_lines bigint not null default 0,
    rejected_lines bigint not null default 0,
    blank_lines bigint not null default 0,
    loaded_at timestamptz not null default clock_timestamp(),
    unique (file_id, first_byte)
);
comment on table raw.loaded_chunks is
'The ledger. One row per chunk of a file, written in the transaction that loads its lines.';
comment on column raw.loaded_chunks.first_byte is 'In the file''s lines, decompressed.';
comment on column raw.loaded_chunks.end_byte is 'The byte after its last one.';
comment on column raw.loaded_chunks.checksum is 'CRC-32 of its bytes.';

-- Of its own, not the table's: an unlogged table's sequence starts again after a crash, and
-- dbt reads only responses above the last it has seen. One for all labellers, as is the lock in
-- loader/ledger.py.
create sequence if not exists raw.response_ids;

-- With an id of the same sequence, so that a run finds what was taken back since the last one as it
-- finds what was loaded.
create table if not exists raw.forgotten_responses (
    response_id bigint not null default nextval('raw.response_ids'),
    first_response_id bigint not null,
    last_response_id bigint not null
);
comment on table raw.forgotten_responses is
'What `forget` has taken back. One row per forgotten file; of the ids between, others may be there.';

create table if not exists raw.released_responses (
    response_id bigint not null,
    chunk_id bigint not null
);
comment on table raw.released_responses is
'Responses whose document `release` has taken, while their labels stay. One row per response.';
create index if not exists released_responses_brin
on raw.released_responses using brin (response_id, chunk_id) with (autosummarize = on);

create table if not exists raw.read_responses (
    labeller text not null,
    store text not null,
    last_response_id bigint not null,
    primary key (labeller, store)
);
comment on table raw.read_responses is
'Up to where dbt has read: it says so itself. One row per labeller and store of its labels.';
comment on column raw.read_responses.store is 'The store''s table, with its schema.';

create table if not exists raw.rejected_lines (
    file_id bigint not null references raw.loaded_files,
    chunk_id bigint not null references raw.loaded_chunks,
    byte_offset bigint not null,
    line bytea not null,
    is_whole boolean not null,
    reason text not null,
    primary key (file_id, byte_offset)
);
comment on table raw.rejected_lines is
'Lines that Postgres does not take as JSON, byte for byte. One row per rejected line.';
comment on column raw.rejected_lines.byte_offset is 'Where the line begins in its file.';
comment on column raw.rejected_lines.is_whole is
'False for a line that was too long, of which only the beginning is kept.';
comment on column raw.rejected_lines.reason is 'What Postgres says of the line.';

-- The reason instead of an error, so that one bad line costs no good one. Only what the line
-- itself causes is caught; a full disk or a cancelled statement still stops the load.
create or replace function raw.parse_line(line bytea, out document jsonb, out reason text)
language plpgsql immutable strict set search_path = pg_catalog, pg_temp
as $$
declare
    detail text;
begin
    document := convert_from(line, 'UTF8')::jsonb;
exception when data_exception or program_limit_exceeded then
    get stacked diagnostics reason = message_text, detail = pg_exception_detail;
    -- Of a line that was cut, the detail is all of it.
    reason := left(concat_ws(': ', reason, nullif(detail, '')), 300);
end
$$;
comment on function raw.parse_line is 'The line as jsonb, or why Postgres does not take it.';
