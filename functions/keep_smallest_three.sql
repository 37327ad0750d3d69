begin
    if another is null or kept[3] <= another or another = any (kept) then
        return kept;
    end if;
    return (array(select item from unnest(kept || another) as item order by item))[:3];
end
