"""A machine that has nothing: the embedded Postgres, sample data, a catalog file, `make run`."""
