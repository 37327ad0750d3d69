"""What a load says while it runs: a bar on a terminal, else a line now and then."""

import logging
import sys
import time
from typing import BinaryIO

from tqdm import tqdm

from loader.files import LabelFile
from loader.ledger import Account
from loader.printable import printable

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30


class Progress:
    """Bytes of a file as it is stored, with lines and rejects."""

    def __init__(
        self, file: LabelFile, loaded_bytes: int, stored: BinaryIO, is_quiet: bool
    ) -> None:
        self._file = file
        self._stored = stored
        self._position = loaded_bytes if file.can_seek else 0
        self._begun_at = self._position
        self._account = Account()
        self._started = self._last_line = time.monotonic()
        self._is_quiet = is_quiet
        self._bar = tqdm(
            total=file.size,
            initial=self._position,
            desc=printable(file.name.rsplit("/", 1)[-1]),
            unit="B",
            unit_scale=True,
            disable=is_quiet or not sys.stderr.isatty(),
        )

    def __enter__(self) -> "Progress":
        if self._position and not self._is_quiet:
            log.info("%s: going on after %s bytes", self._file.name, f"{self._position:,}")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, line_bytes: int, account: Account) -> None:
        """Add a chunk."""
        # Of a compressed file only the reader knows how many of its bytes the chunk was.
        position = self._stored.tell() if self._file.is_compressed else self._position + line_bytes
        self._account += account
        self._bar.set_postfix(lines=self._account.lines, rejected=self._account.rejected)
        self._bar.update(position - self._position)
        self._position = position
        now = time.monotonic()
        is_due = now - self._last_line >= SECONDS_BETWEEN_LINES
        if is_due and self._bar.disable and not self._is_quiet:
            self._last_line = now
            log.info("%s", self._line(now - self._started))

    def _line(self, seconds: float) -> str:
        speed = (self._position - self._begun_at) / seconds
        whole = left = ""
        if self._file.size:
            seconds_left = (self._file.size - self._position) / speed if speed else 0
            whole = f" of {self._file.size / 1e6:,.0f}"
            left = f", {seconds_left / 60:,.0f} min left"
        lines = f"{self._account.lines:,} lines, {self._account.rejected:,} rejected"
        done = f"{self._position / 1e6:,.0f} MB{whole}, {speed / 1e6:,.1f} MB/s"
        return f"{self._file.name}: {done}, {lines}{left}"
