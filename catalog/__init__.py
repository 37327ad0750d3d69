"""Machines' tags into the catalog's own table, and back."""
