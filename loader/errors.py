"""What the commands say instead of a traceback."""


class LoaderError(Exception):
    """Something the user can mend; the message says what is wrong and what to do."""
