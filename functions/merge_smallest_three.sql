begin
    -- Of most labels, which are reviewed, nothing is kept.
    if others = '{}' then
        return kept;
    end if;
    return (array(select distinct item from unnest(kept || others) as item order by item))[:3];
end
