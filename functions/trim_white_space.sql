-- The last is the vertical tab, by its code: before 16 Postgres reads \v as the letter v.
select btrim(words, e' \t\n\r\f\x0b')
