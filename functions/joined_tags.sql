begin
    return case when more = '[]' then tags else tags || more end;
end
