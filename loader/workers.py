"""Threads that load chunks at the same time, on a session each."""

import threading
import time
from collections.abc import Iterator
from queue import Queue, SimpleQueue

from loader.chunks import Chunk
from loader.copy import load_chunk
from loader.errors import UserError
from loader.ledger import Account, LoadedChunk
from loader.session import Session

SECONDS_TO_STOP = 1.5


class Workers:
    """Threads with a session each.

    They are daemons: a server that does not answer must not keep Ctrl-C from ending the program.
    What they have not committed then, Postgres rolls back.
    """

    def __init__(self, count: int, give_up_after_seconds: float) -> None:
        self._stop = threading.Event()
        self._tasks: Queue[tuple[int, Chunk] | None] = Queue()
        self._results: SimpleQueue[tuple[int, Account] | Exception] = SimpleQueue()
        self._sessions = [Session(give_up_after_seconds, self._stop) for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._work, args=(session,), daemon=True)
            for session in self._sessions
        ]

    def __enter__(self) -> "Workers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        deadline = time.monotonic() + SECONDS_TO_STOP if error[0] else None
        if deadline:
            self._stop.set()
            for session in self._sessions:
                session.cancel(timeout=max(0.1, deadline - time.monotonic()))
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()) if deadline else None)

    def load(
        self, file_id: int, chunks: Iterator[Chunk | LoadedChunk]
    ) -> Iterator[tuple[int, Account]]:
        """Load the chunks that are not loaded; yield each one's bytes, and what became of them.

        As many are under way as there are workers, while one more is being read. The first
        failure is raised; of the chunks under way then, each is committed or not there.
        """
        under_way = 0
        unreadable: UserError | None = None
        while True:
            try:
                chunk = next(chunks)
            except StopIteration:
                break
            except UserError as error:
                unreadable = error  # the chunks before it are good
                break
            if isinstance(chunk, LoadedChunk):
                yield chunk.bytes, Account()
                continue
            while under_way == len(self._threads):
                yield self._next_result()
                under_way -= 1
            self._tasks.put((file_id, chunk))
            under_way += 1
            del chunk  # or its bytes would be kept while the next ones are read
        for _ in range(under_way):
            yield self._next_result()
        if unreadable:
            raise unreadable

    def _next_result(self) -> tuple[int, Account]:
        result = self._results.get()
        if isinstance(result, Exception):
            raise result
        return result

    def _work(self, session: Session) -> None:
        while (task := self._tasks.get()) is not None:
            if not self._stop.is_set():
                self._results.put(self._load(session, *task))
            del task  # the chunk's bytes; this thread may wait long for the next
        session.close()

    def _load(
        self, session: Session, file_id: int, chunk: Chunk
    ) -> tuple[int, Account] | Exception:
        try:
            return chunk.end_byte - chunk.first_byte, session.run(load_chunk, file_id, chunk)
        except Exception as error:
            self._stop.set()  # it is raised again where the results are read
            return error
