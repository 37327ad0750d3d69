declare
    -- What a denominator is at least, as Lentz has it.
    tiny constant float8 = 1e-30;
    is_mirrored constant boolean = x > (alpha + 1) / (alpha + beta + 2);
    y constant float8 = case when is_mirrored then 1 - x else x end;
    a constant float8 = case when is_mirrored then beta else alpha end;
    b constant float8 = case when is_mirrored then alpha else beta end;
    ln_front float8;
    coefficient float8;
    c float8 = 1;
    d float8;
    fraction float8;
    step float8;
begin
    if x <= 0 or x >= 1 then
        return (x >= 1)::integer;
    end if;
    ln_front := a * ln(y) + b * ln(1 - y)
        + {{ function('ln_gamma') }}(a + b) - {{ function('ln_gamma') }}(a) - {{ function('ln_gamma') }}(b);
    -- The whole is smaller than any digit that counts, and exp would underflow, which is an error.
    if ln_front < -600 then
        return is_mirrored::integer;
    end if;

    d := 1 - (a + b) * y / (a + 1);
    d := 1 / case when abs(d) < tiny then tiny else d end;
    fraction := d;
    for m in 1 .. 100000 loop
        coefficient := m * (b - m) * y / ((a + 2 * m - 1) * (a + 2 * m));
        d := 1 + coefficient * d;
        d := 1 / case when abs(d) < tiny then tiny else d end;
        c := 1 + coefficient / c;
        c := case when abs(c) < tiny then tiny else c end;
        fraction := fraction * c * d;
        coefficient := -(a + m) * (a + b + m) * y / ((a + 2 * m) * (a + 2 * m + 1));
        d := 1 + coefficient * d;
        d := 1 / case when abs(d) < tiny then tiny else d end;
        c := 1 + coefficient / c;
        c := case when abs(c) < tiny then tiny else c end;
        step := c * d;
        fraction := fraction * step;
        if abs(step - 1) < 1e-15 then
            fraction := exp(ln_front) * fraction / a;
            return case when is_mirrored then 1 - fraction else fraction end;
        end if;
    end loop;
    raise exception 'beta_cdf(%, %, %) does not converge', x, alpha, beta;
end
