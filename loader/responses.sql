-- A labeller's responses; `python -m loader init` runs it for each labeller, each time.

-- Postgres' own compression of documents takes a third of the time of a load. lz4 takes none that
-- can be measured; a server that was built without it keeps them as they are, in nearly twice the room.
do $$
begin
    if to_regclass({name}) is null then
        create table {table} (
            response_id bigint not null default nextval('raw.response_ids'),
            chunk_id bigint not null,
            document jsonb not null
        );
        begin
            alter table {table} alter document set compression lz4;
        exception when feature_not_supported then
            alter table {table}
                alter document set storage external, set (toast_tuple_target = 8160);
        end;
    end if;
end
$$;
comment on table {table} is 'Lines of label files, as they came. One row per loaded line.';
comment on column {table}.response_id is 'Rises in load order.';
-- dbt reads only the newest responses, `forget` and `release` only a file's chunks. Of 200 GB a BRIN
-- index takes a few MB, and COPY does not slow down for it.
create index if not exists {index}
on {table} using brin (response_id, chunk_id) with (autosummarize = on);
