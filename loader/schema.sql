-- The loader's own relations. Repeatable: `python -m loader init` runs it each time.

create schema if not exists raw;
comment on schema raw is 'Label Refinery: label files as they came, and the ledger of what has been loaded.';

create table if not exists raw.loaded_files (
    file_id bigint generated always as identity primary key,
    name text not null,
    bytes bigint not null,
    digest text not null,
    chunk_bytes bigint not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    unique (bytes, digest)
);
comment on table raw.loaded_files is
'Label files that a load has begun. One row per file, known by its content.';
comment on column raw.loaded_files.name is 'Where the file was when it was last given to the loader.';
comment on column raw.loaded_files.digest is 'SHA-256 of parts of the file, in hexadecimal.';
comment on column raw.loaded_files.chunk_bytes is
'Bytes after which a chunk ends with its line; set by the first load, so that borders stay.';
comment on column raw.loaded_files.finished_at is 'When its last chunk was loaded; null before.';

create table if not exists raw.loaded_chunks (
    chunk_id bigint generated always as identity primary key,
    file_id bigint not null references raw.loaded_files,
    first_byte bigint not null,
    end_byte bigint not null,
    loaded_lines integer not null,
    rejected_lines integer not null,
    blank_lines integer not null,
    loaded_at timestamptz not null default now(),
    unique (file_id, first_byte)
);
comment on table raw.loaded_chunks is
'The ledger: what has been loaded. One row per chunk, written in the transaction that loads its lines.';
comment on column raw.loaded_chunks.end_byte is 'The byte after its last one.';

create table if not exists raw.rekognition_responses (
    response_id bigint generated always as identity,
    chunk_id bigint not null,
    document jsonb not null
);
comment on table raw.rekognition_responses is
'Lines of label files, as they came. One row per loaded line.';
comment on column raw.rekognition_responses.response_id is 'Rises in load order.';
-- machine_tags reads only the newest responses. Of 200 GB a BRIN index takes a few MB, and COPY
-- does not slow down for it.
create index if not exists rekognition_responses_response_id_idx
on raw.rekognition_responses using brin (response_id) with (autosummarize = on);

create table if not exists raw.rejected_lines (
    file_id bigint not null references raw.loaded_files,
    chunk_id bigint not null references raw.loaded_chunks,
    byte_offset bigint not null,
    line bytea not null,
    reason text not null,
    primary key (file_id, byte_offset)
);
comment on table raw.rejected_lines is
'Lines that Postgres does not take as JSON, byte for byte. One row per rejected line.';
comment on column raw.rejected_lines.byte_offset is 'Where the line begins in its file.';
comment on column raw.rejected_lines.reason is 'What Postgres says of the line.';

-- The reason instead of an error, so that one bad line costs no good one. Only what the line
-- itself causes is caught; a full disk or a cancelled statement still stops the load.
create or replace function raw.parse_line(line bytea, out document jsonb, out reason text)
language plpgsql immutable strict
as $$
declare
    detail text;
begin
    document := convert_from(line, 'UTF8')::jsonb;
exception when data_exception or program_limit_exceeded then
    get stacked diagnostics reason = message_text, detail = pg_exception_detail;
    reason := concat_ws(': ', reason, nullif(detail, ''));
end
$$;
comment on function raw.parse_line is 'The line as jsonb, or why Postgres does not take it.';
