"""Names to addresses by the system's resolver, which blocks and knows no deadline: in threads that nobody waits for."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from contextlib import suppress
from weakref import WeakKeyDictionary

# What hangs in the resolver holds a thread for as long as the resolver likes.
MAX_THREADS = 64

Waiting = tuple[asyncio.AbstractEventLoop, "asyncio.Future[list[str]]", str]


class SystemResolver:
    """Runs that ask for the same name at the same time share one question."""

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
        self._asked: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Future[list[str]]]]
        self._asked = WeakKeyDictionary()
        self._threads = 0
        self._idle = 0
        self._lock = threading.Lock()

    async def __call__(self, host: str) -> list[str]:
        """The addresses of `host`. Raises OSError or UnicodeError."""
        loop = asyncio.get_running_loop()
        with self._lock:
            asked = self._asked.setdefault(loop, {})
        found = asked.get(host)
        if found is None:
            found = asked[host] = loop.create_future()
            found.add_done_callback(lambda answer: _forget(asked, host, answer))
            self._ask((loop, found, host))
        return await asyncio.shield(found)

    def _ask(self, question: Waiting) -> None:
        self._questions.put(question)
        with self._lock:
            if self._questions.qsize() > self._idle and self._threads < MAX_THREADS:
                self._threads += 1
                threading.Thread(target=self._work, name="probe-resolver", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            loop, found, host = self._questions.get()
            with self._lock:
                self._idle -= 1
            try:
                entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
                answer: list[str] | Exception = [str(entry[4][0]) for entry in entries]
            except Exception as error:
                answer = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, found, answer)


def _forget(asked: dict[str, asyncio.Future[list[str]]], host: str, answer: asyncio.Future[list[str]]) -> None:
    asked.pop(host, None)
    if not answer.cancelled():
        answer.exception()  # Whoever asked may be gone; asyncio would complain that nobody looked.


def _settle(found: asyncio.Future[list[str]], answer: list[str] | Exception) -> None:
    if found.done():
        return
    if isinstance(answer, Exception):
        found.set_exception(answer)
    else:
        found.set_result(answer)


system = SystemResolver()
