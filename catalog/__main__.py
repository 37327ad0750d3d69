"""`python -m catalog`."""

from loader import interrupts

if __name__ == "__main__":
    interrupts.end_at_once()  # while the imports below take their second
    from catalog.cli import cli

    cli(prog_name="python -m catalog")
