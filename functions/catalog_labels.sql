declare
    tag jsonb;
    tag_provider text;
    label text;
    accuracy numeric;
    providers text[] = '{}';
    is_grouped boolean = true;
begin
    names := '{}';
    accuracies := '{}';
    tags := tags #> '{}';  -- decompressed once
    for place in 0 .. jsonb_array_length(tags) - 1 loop
        tag := tags -> place;
        tag_provider := tag ->> 'provider';
        -- Most tags are the creator's: no more is read of them. To find images without another's first,
        -- by a path query, takes longer than this does.
        continue when tag_provider = image_provider;
        label := {{ function('trim_white_space') }}({{ function('tag_name') }}(tag));
        accuracy := {{ function('tag_accuracy') }}(tag);
        continue when
            not {{ function('is_machine_tag') }}(tag_provider, image_provider, accuracy)
            or {{ function('is_malformed_tag') }}(label, accuracy);
        is_grouped := is_grouped
            and not label = any (names)
            and (names = '{}' or tag_provider is not distinct from providers[1]);
        providers := providers || tag_provider;
        names := names || label;
        accuracies := accuracies || accuracy;
    end loop;

    if names = '{}' then
        return;
    elsif is_grouped then
        provider := providers[1];
        return next;
    else
        return query
        select
            found.provider,
            array_agg(found.name order by found.name collate "C"),
            array_agg(found.accuracy order by found.name collate "C")
        from (
            select said.provider, said.name, max(said.accuracy) as accuracy
            from unnest(providers, names, accuracies) as said (provider, name, accuracy)
            group by 1, 2
        ) as found
        group by 1;
    end if;
end
