"""Text of files and databases as it may be printed: it must not steer a terminal or a list."""


def printable(text: object) -> str:
    """Return a text on one line, with escapes for what nobody sees, as `\\x1b` or `\\u202e`."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )
