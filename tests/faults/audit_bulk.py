"""A bulk client of the kill audit, a process of its own: 50 events per request in three dialects, until acknowledged.

`python -m tests.faults.audit_bulk` reads its order as one line of JSON on standard input, and makes no new requests
once that ends. Its ledger has every id before it leaves and every id that a 200 acknowledged; its counts are a file
that is written anew every second. Nobody kills it.
"""

from __future__ import annotations

import http.client
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.faults.audit_ledger import LedgerWriter
from tests.faults.audit_posts import DIALECTS, Post

EVENTS = 50
TIMEOUT_SECONDS = 10.0
_GIVE_UP_SECONDS = 90.0
_KEPT = 400
"""Earlier requests to repeat from; some are still on their way when they are repeated."""


class Order(msgspec.Struct, frozen=True):
    """What a bulk client shall do; `keys` are write keys by source, `duplicates` the part of requests sent before."""

    name: str
    ports: list[int]
    keys: dict[str, str]
    ledger: str
    counts: str
    seed: int
    requests_per_second: float
    connections: int
    duplicates: float = 0.3


class Counts(msgspec.Struct):
    """What a bulk client saw; `errors` are attempts that ended without an answer."""

    requests: int = 0
    repeated: int = 0
    attempts: int = 0
    opened: int = 0
    given_up: int = 0
    acknowledged_events: int = 0
    statuses: dict[int, int] = {}
    errors: dict[str, int] = {}


class Bulk:
    """Threads with a connection each; they share pace, counts and the requests to repeat."""

    def __init__(self, order: Order, ledger: LedgerWriter) -> None:
        self.order, self.ledger = order, ledger
        self.counts = Counts()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._random = random.Random(order.seed)  # noqa: S311 - repeatable on purpose
        self._earlier: list[Post] = []
        self._numbers: Counter[str] = Counter()
        self._due = time.monotonic()
        self._own = threading.local()

    def run(self) -> None:
        """Work until standard input ends and everything is acknowledged or given up."""
        threads = [threading.Thread(target=self._work) for _ in range(self.order.connections)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.write_counts()
            time.sleep(1)
        self.write_counts()

    def write_counts(self) -> None:
        """Replace the file with the counts."""
        path = Path(self.order.counts)
        with self._lock:
            content = msgspec.json.encode(self.counts)
        path.with_suffix(".new").write_bytes(content)
        path.with_suffix(".new").replace(path)

    def _work(self) -> None:
        with self._lock:
            chooser = random.Random(self._random.random())  # noqa: S311
        for post in self._posts():
            self.ledger.add("sent", post.source_id, post.ids)
            self._deliver(post, chooser)

    def _posts(self) -> Iterator[Post]:
        while not self.stopping.is_set():
            with self._lock:
                # After an outage the pace goes on; what was not sent meanwhile is not made up for.
                self._due = max(self._due, time.monotonic() - 0.5) + 1 / self.order.requests_per_second
                wait = self._due - time.monotonic()
                post = self._next()
            if not self.stopping.wait(max(0.0, wait)):
                yield post

    def _next(self) -> Post:
        if self._earlier and self._random.random() < self.order.duplicates:
            self.counts.repeated += 1
            return self._random.choice(self._earlier)
        source_id = self._random.choice(list(DIALECTS))
        self._numbers[source_id] += 1
        # The same id in three sources is three events.
        start = f"{self.order.name}-{self._numbers[source_id]:07d}"
        post = DIALECTS[source_id]([f"{start}-{number:02d}" for number in range(EVENTS)], self.order.keys[source_id])
        self.counts.requests += 1
        if len(self._earlier) < _KEPT:
            self._earlier.append(post)
        else:
            self._earlier[self._random.randrange(_KEPT)] = post
        return post

    def _deliver(self, post: Post, chooser: random.Random) -> None:
        """Try until acknowledged, at either API process, with the same bytes."""
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        wait = 0.1
        while not self._try(post, chooser):
            if time.monotonic() > deadline:
                with self._lock:
                    self.counts.given_up += 1
                return
            time.sleep(wait * chooser.uniform(0.5, 1.0))
            wait = min(wait * 2, 2.0)

    def _try(self, post: Post, chooser: random.Random) -> bool:
        try:
            status = self._send(post, chooser)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            with self._lock:
                self.counts.attempts += 1
                name = type(error).__name__
                self.counts.errors[name] = self.counts.errors.get(name, 0) + 1
            return False
        if status == 200:
            self.ledger.add("acknowledged", post.source_id, post.ids)
        with self._lock:
            self.counts.attempts += 1
            self.counts.statuses[status] = self.counts.statuses.get(status, 0) + 1
            if status == 200 and not post.acknowledged:
                post.acknowledged = True
                self.counts.acknowledged_events += len(post.ids)
        return status == 200

    def _send(self, post: Post, chooser: random.Random) -> int:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            port = chooser.choice(self.order.ports)
            connection = self._own.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
            with self._lock:
                self.counts.opened += 1
        connection.request("POST", post.path, post.body, {"Content-Type": "application/json", **post.headers})
        answer = connection.getresponse()
        # Half an answer is none.
        answer.read()
        return answer.status

    def _close(self) -> None:
        self._own.connection.close()
        self._own.connection = None


def main() -> None:
    """Run the order."""
    order = msgspec.json.decode(sys.stdin.readline(), type=Order)
    with LedgerWriter(Path(order.ledger)) as ledger:
        bulk = Bulk(order, ledger)

        def watch() -> None:
            sys.stdin.read()
            bulk.stopping.set()

        threading.Thread(target=watch, daemon=True).start()
        bulk.run()


if __name__ == "__main__":
    main()
