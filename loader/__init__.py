"""The loader: brings raw label lines, whole and unaltered, into Postgres."""
