"""The label policy's CSV files: reading and checking them without a database."""
