"""`python -m trial`."""

from loader import interrupts

if __name__ == "__main__":
    interrupts.end_at_once()  # while the imports below take their second
    from trial.cli import main

    main(prog_name="python -m trial")
