-- The catalog's table, for people who try the project out on a file. The columns are those of
-- Openverse's image table; only the identifier must be there.

create schema if not exists catalog;

create table if not exists catalog.image (
    identifier uuid primary key,
    created_on timestamptz,
    updated_on timestamptz,
    ingestion_type varchar(80),
    provider varchar(80),
    source varchar(80),
    foreign_identifier text,
    foreign_landing_url text,
    url text,
    thumbnail text,
    width integer,
    height integer,
    filesize integer,
    license varchar(50),
    license_version varchar(25),
    creator text,
    creator_url text,
    title text,
    meta_data jsonb,
    tags jsonb,
    watermarked boolean,
    last_synced_with_source timestamptz,
    removed_from_source boolean,
    filetype varchar(5),
    category varchar(80),
    standardized_popularity double precision
);
