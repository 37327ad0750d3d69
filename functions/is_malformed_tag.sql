select coalesce(label_key, '') = '' or coalesce(accuracy not between 0 and 1, false)
