declare
    square float8 = 0;
    term float8 = x;
    total float8 = x;
    before float8;
    divisor float8 = 1;
begin
    -- Beyond, it is 0 or 1 to fifteen digits, and the terms would cancel.
    if abs(x) > 8 then
        return (x > 0)::integer;
    end if;
    -- The square of less would underflow, which is an error in Postgres.
    if abs(x) > 1e-100 then
        square := x * x;
    end if;
    loop
        before := total;
        divisor := divisor + 2;
        term := term * square / divisor;
        total := total + term;
        exit when total = before;
    end loop;
    return 0.5 + total * exp(-0.5 * square) * 0.39894228040143268;
end
