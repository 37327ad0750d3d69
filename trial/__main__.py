"""Run `python -m trial`."""

from trial.cli import main

if __name__ == "__main__":
    main()
