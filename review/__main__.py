"""What `python -m review` runs."""

from review.cli import cli

if __name__ == "__main__":
    cli()
