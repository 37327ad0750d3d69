-- The ledger of what is written into the catalog's table. Repeatable: `python -m catalog init`.

-- Of a schema that is there `create schema if not exists` asks for the right to make one.
do $$
begin
    if to_regnamespace('tag_writes') is null then
        create schema tag_writes;
    end if;
end
$$;
comment on schema tag_writes is
'Label Refinery: what it has written into the catalog''s table, and what was there before.';

create table if not exists tag_writes.runs (
    run_id bigint generated always as identity primary key,
    catalog_table text not null,
    view_name text not null,
    touched_column text,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    undo_started_at timestamptz,
    undone_at timestamptz,
    backup_dropped_at timestamptz
);
comment on table tag_writes.runs is
'One row per run of `write-tags` that has written a row; one that was killed goes on as the same.';
comment on column tag_writes.runs.catalog_table is 'The table that it wrote into, with its schema.';
comment on column tag_writes.runs.view_name is 'The view whose tags it wrote.';
comment on column tag_writes.runs.touched_column is 'What --touch named; null if nothing.';
comment on column tag_writes.runs.finished_at is 'When it had seen all images; null before.';
comment on column tag_writes.runs.undo_started_at is 'When `undo` began; null before.';
comment on column tag_writes.runs.undone_at is 'When `undo` had seen all its rows; null before.';
comment on column tag_writes.runs.backup_dropped_at is 'When `drop-backup` was run; null before.';

create table if not exists tag_writes.batches (
    batch_id bigint generated always as identity primary key,
    run_id bigint not null references tag_writes.runs,
    is_undo boolean not null,
    rows_written bigint not null,
    started_at timestamptz not null,
    finished_at timestamptz not null default clock_timestamp()
);
comment on table tag_writes.batches is
'The ledger. One row per batch, written in the transaction that writes its rows.';

-- A partition a run, so that to drop a backup gives its disk back at once.
create table if not exists tag_writes.backups (
    run_id bigint not null,
    identifier uuid not null,
    tags_before jsonb,
    tags_written uuid not null,
    primary key (run_id, identifier)
) partition by list (run_id);
comment on table tag_writes.backups is
'The tags of images as they were before a run. One row per run and image.';
comment on column tag_writes.backups.tags_written is
'MD5 of the tags that the run wrote, as text: by it `undo` knows what others have changed.';
