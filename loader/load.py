"""A load: which files and chunks are still to do, how many at once, and the account of it."""

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import psycopg
from tqdm import tqdm

from loader.connect import connect
from loader.copy import Account, load_chunk
from loader.errors import LoaderError
from loader.files import Chunk, Fingerprint, cut, fingerprint

log = logging.getLogger(__name__)

CHUNK_BYTES = 8 << 20
DEFAULT_WORKERS = max(1, (os.cpu_count() or 1) // 2)


@dataclass(frozen=True)
class _File:
    file_id: int
    chunk_bytes: int
    is_finished: bool


def load_files(paths: Iterable[Path], workers: int = DEFAULT_WORKERS) -> Account:
    """Load what is not loaded yet of each file, in order. Returns the account of this load."""
    total = Account()
    with ExitStack() as stack:
        control = stack.enter_context(connect())
        connections: SimpleQueue[psycopg.Connection] = SimpleQueue()
        for _ in range(workers):
            connections.put(stack.enter_context(connect()))
        for path in paths:
            total += _load_file(path, control, connections, workers)
    return total


def _load_file(
    path: Path,
    control: psycopg.Connection,
    connections: SimpleQueue[psycopg.Connection],
    workers: int,
) -> Account:
    file = _enter_file(control, path, fingerprint(path))
    if file.is_finished:
        log.info("%s: loaded before, nothing to do", path)
        return Account()
    _wait_for_other_loaders(control, path, file.file_id)
    loaded = _loaded_chunks(control, file.file_id)
    account = Account()
    with (
        path.open("rb") as stream,
        tqdm(
            total=path.stat().st_size,
            initial=sum(end - first for first, end in loaded.items()),
            desc=path.name,
            unit="B",
            unit_scale=True,
            disable=None,  # shown on a terminal only
        ) as bar,
    ):
        stop = threading.Event()
        chunks = cut(stream, file.chunk_bytes, loaded, lambda: not stop.is_set())
        for chunk_account, size in _in_parallel(chunks, file.file_id, connections, workers, stop):
            account += chunk_account
            bar.update(size)
    control.execute(
        "update raw.loaded_files set finished_at = now() where file_id = %s", (file.file_id,)
    )
    control.execute("select pg_advisory_unlock_all()")
    log.info(
        "%s: %s lines = %s loaded + %s rejected + %s blank",
        *(path, account.lines, account.loaded, account.rejected, account.blank),
    )
    return account


def _enter_file(control: psycopg.Connection, path: Path, known_by: Fingerprint) -> _File:
    file_id, chunk_bytes, is_finished = control.execute(
        """
        insert into raw.loaded_files (name, bytes, digest, chunk_bytes) values (%s, %s, %s, %s)
        on conflict (bytes, digest) do update set name = excluded.name
        returning file_id, chunk_bytes, finished_at is not null
        """,
        (str(path), known_by.bytes, known_by.digest, CHUNK_BYTES),
    ).fetchone() or (0, 0, False)
    return _File(file_id, chunk_bytes, is_finished)


def _wait_for_other_loaders(control: psycopg.Connection, path: Path, file_id: int) -> None:
    key = ("raw.loaded_files", file_id)
    (is_free,) = control.execute(
        "select pg_try_advisory_lock(%s::regclass::oid::integer, %s::integer)", key
    ).fetchone() or (False,)
    if not is_free:
        log.info("%s: another loader is at it, waiting", path)
        control.execute("select pg_advisory_lock(%s::regclass::oid::integer, %s::integer)", key)


def _loaded_chunks(control: psycopg.Connection, file_id: int) -> dict[int, int]:
    rows = control.execute(
        "select first_byte, end_byte from raw.loaded_chunks where file_id = %s", (file_id,)
    ).fetchall()
    return dict(rows)


def _in_parallel(
    chunks: Iterator[Chunk],
    file_id: int,
    connections: SimpleQueue[psycopg.Connection],
    workers: int,
    stop: threading.Event,
) -> Iterator[tuple[Account, int]]:
    """Load chunks, one a connection at a time, and yield accounts with bytes as they are done.

    At most workers + 1 chunks are in memory. The first failure stops the reading and is raised
    when the chunks under way have ended.
    """

    def load_one(chunk: Chunk) -> tuple[Account, int]:
        connection = connections.get()
        try:
            return load_chunk(connection, file_id, chunk), len(chunk.data)
        finally:
            connections.put(connection)

    pending: list[Future[tuple[Account, int]]] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for chunk in chunks:
                pending.append(pool.submit(load_one, chunk))
                while len(pending) > workers or (pending and pending[0].done()):
                    yield pending.pop(0).result()
            while pending:
                yield pending.pop(0).result()
        except psycopg.Error as error:
            raise LoaderError(
                f"the database refused a chunk: {' '.join(str(error).split())}. What is loaded "
                "stays; run the same command again to go on."
            ) from error
        finally:
            stop.set()
