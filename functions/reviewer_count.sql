select count(distinct signed.key)::integer
from (
    select {{ function('label_key') }}(regexp_split_to_table(reviewed_by, ';')) as key
) as signed
where signed.key <> ''
