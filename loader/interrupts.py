"""Ctrl-C ends a command with one sentence, from its first line to its last."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SENTENCE = "interrupted; run the same command again to go on"
EXIT_STATUS = 128 + signal.SIGINT


def end_at_once() -> None:
    """Let Ctrl-C end this process at once, while nothing has begun that has to be ended well."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as shells have it in the background
        signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    os.write(2, f"Error: {SENTENCE}\n".encode())
    os._exit(EXIT_STATUS)


@contextmanager
def raised() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt within, so that what has begun is ended well."""
    if signal.getsignal(signal.SIGINT) is not _end:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _end)
