"""The commands for the evidence: `python -m evidence --help`."""

import argparse
import io
import logging
import os
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

from loader.errors import UserError, exit_status
from review.draw_sample import Draw, write_sample
from review.live import open_built
from review.page import write_galleries

NOT_BUILT = "the evidence is not there yet: run `make run` or `dbt build --selector evidence`"

log = logging.getLogger("evidence")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0 if all is well, 1 if not. Wrong usage exits with 2."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    options = _parser().parse_args(arguments)
    try:
        return exit_status(lambda: options.run(options))
    except BrokenPipeError:  # as with `| head`; what is still in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m review.evidence_commands",
        description="A sample of tags to judge, and galleries of labels.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "sample",
        help="draw tags for people to judge",
        description="Draw machine tags for people to judge: as many from each label and accuracy "
        "bin. Prints CSV in the columns of seeds/evidence/label_judgements.csv. The same seed "
        "draws the same tags.",
    )
    command.add_argument("labels", nargs="*", metavar="LABEL", help="only these (default: all)")
    command.add_argument(
        "--each", type=_count, default=5, help="tags a label and bin (default: %(default)s)"
    )
    command.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    command.add_argument(
        "--width",
        type=_width,
        default=Decimal("0.05"),
        help="of a bin of accuracy (default: %(default)s)",
    )
    command.add_argument(
        "--with-urls",
        action="store_true",
        help="a sixth column with the images' addresses, to be taken out of the seed",
    )
    command.set_defaults(run=_sample)

    command = commands.add_parser(
        "galleries",
        help="write a page of labels with their images",
        description="Write a page that shows reviewers each label's images and accuracies.",
    )
    command.add_argument(
        "labels", nargs="*", metavar="LABEL", help="only these (default: the most frequent)"
    )
    command.add_argument(
        "--most", type=_count, default=100, help="how many labels (default: %(default)s)"
    )
    command.add_argument(
        "--output",
        type=Path,
        default=Path("galleries/index.html"),
        metavar="FILE",
        help="(default: %(default)s)",
    )
    command.set_defaults(run=_galleries)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _width(text: str) -> Decimal:
    try:
        width = Decimal(text)
    except InvalidOperation:
        width = Decimal(0)
    if not 0 < width <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0, up to 1")
    return width


def _sample(options: argparse.Namespace) -> None:
    draw = Draw(options.each, options.seed, options.width, options.labels, options.with_urls)
    with open_built("label_gallery", NOT_BUILT) as connection:
        if write_sample(connection, draw, sys.stdout) == 0:
            raise UserError("no machine says such a label of an image in the catalog")


def _galleries(options: argparse.Namespace) -> None:
    with open_built("label_gallery", NOT_BUILT) as connection:
        labels, images = write_galleries(
            connection, options.output, options.labels or None, options.most
        )
    print(f"{options.output}: {labels:,} labels with {images:,} images")


if __name__ == "__main__":
    sys.exit(main())
