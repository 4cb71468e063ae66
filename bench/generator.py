"""The load generator, a process of its own: ``python -m bench.generator`` with an order on standard input.

Plain sockets and one selector, so that it costs little beside what it measures. It waits with ``select`` on the
selector itself, because that call alone counts in microseconds; timers of event loops count in milliseconds.
"""

from __future__ import annotations

import gc
import json
import select
import selectors
import socket
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

from bench.processes import asked
from bench.schedule import Schedule

_GRACE = 10.0
_CHUNK = 65_536
_HEAD_END = b"\r\n\r\n"
_OUTSIDE = (b'"provisional":true', b'"verato":"')
_STATUSES = (b"matched", b"created", b"review", b"no_match")


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: ``rate`` requests a second, or with rate 0 one after the other on every connection."""

    port: int
    path: str
    bodies: str
    first: int
    connections: int
    seconds: float
    rate: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back. ``latencies`` (ms) count from the scheduled time in an open loop.

    ``own`` are those of answers that needed no outside provider.
    """

    latencies: list[float]
    own: list[float]
    seconds: float
    errors: int
    unanswered: int
    statuses: dict[str, int]

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds


def generate(order: Order, *, tolerant: bool = False) -> Outcome:
    """Run one order in a process of its own.

    Raises:
        RuntimeError: the generator failed, or an answer was an error: such a round measures nothing, unless a
            ``tolerant`` caller counts the errors.
    """
    outcome = Outcome(**asked("bench.generator", asdict(order), "the load generator"))
    if outcome.errors and not tolerant:
        raise RuntimeError(f"{outcome.errors} of {len(outcome.latencies)} answers were errors")
    return outcome


class _Connection:
    """One keep-alive connection; at most one request is under way on it."""

    __slots__ = ("due", "received", "sock", "wanted")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.received = b""
        self.wanted = 0

    def send(self, request: bytes, due: float) -> None:
        self.due, self.received, self.wanted = due, b"", 0
        self.sock.sendall(request)

    def receive(self) -> bytes | None:
        """The whole answer, or None while some of it is still to come."""
        chunk = self.sock.recv(_CHUNK)
        if not chunk:
            raise ConnectionError("the service closed a connection")
        self.received += chunk
        if not self.wanted:
            head, end, _ = self.received.partition(_HEAD_END)
            if not end:
                return None
            self.wanted = len(head) + len(end) + _content_length(head)
        return self.received if len(self.received) >= self.wanted else None


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError("an answer has no Content-Length")


class Generator:
    """Sends prepared requests over its connections and notes when each answer was complete."""

    def __init__(self, order: Order, requests: Sequence[bytes]) -> None:
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._idle: deque[_Connection] = deque()
        for _ in range(order.connections):
            connection = _Connection(order.port)
            self._selector.register(connection.sock, selectors.EVENT_READ, connection)
            self._idle.append(connection)
        self._start = perf_counter()
        self.latencies: list[float] = []
        self.own: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.errors = 0
        self.sent = 0

    def _now(self) -> float:
        return perf_counter() - self._start

    def open_loop(self, schedule: Schedule) -> float:
        """Send everything at its time; answers the seconds it took."""
        self._start = perf_counter()
        deadline = schedule.seconds + _GRACE
        while len(self.latencies) < schedule.count and (now := self._now()) < deadline:
            due = schedule.due_by(now)
            while self.sent < due and self._idle:
                self._send(schedule.due(self.sent))
            wait = schedule.wait(self.sent, self._now()) if self._idle else None
            self._collect(deadline - now if wait is None else wait)
        return self._now()

    def give_up(self, schedule: Schedule) -> int:
        """Enter what was never answered with the time it has waited so far; answers how many."""
        now, answered = self._now(), len(self.latencies)
        late = range(answered, schedule.count)
        self.latencies.extend((now - schedule.due(number)) * 1000 for number in late)
        return len(late)

    def closed_loop(self, seconds: float) -> float:
        """Send the next request wherever an answer arrived, for so many seconds."""
        self._start = perf_counter()
        while (now := self._now()) < seconds:
            while self._idle:
                self._send(now)
            self._collect(seconds - now)
        return self._now()

    def _send(self, due: float) -> None:
        request = self._requests[self.sent % len(self._requests)]
        self._idle.popleft().send(request, due)
        self.sent += 1

    def _collect(self, wait: float) -> None:
        select.select([self._selector], [], [], wait)
        for key, _ in self._selector.select(0):
            connection: _Connection = key.data
            answer = connection.receive()
            if answer is not None:
                latency = (self._now() - connection.due) * 1000
                self.latencies.append(latency)
                if not any(mark in answer for mark in _OUTSIDE):
                    self.own.append(latency)
                self._idle.append(connection)
                self._count(answer)

    def _count(self, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 200"):
            self.errors += 1
        mark = answer.find(b'"status":"')
        for status in _STATUSES if mark >= 0 else ():
            if answer.startswith(status, mark + 10):
                self.statuses[status.decode()] += 1


def _prepared(order: Order, count: int) -> list[bytes]:
    """Whole requests, so that sending one is a single call."""
    with Path(order.bodies).open("rb") as lines:
        bodies = [line.rstrip(b"\n") for line in lines][order.first : order.first + count]
    if not bodies or (order.rate and len(bodies) < count):
        raise ValueError("there are too few requests: an open loop sends each only once")
    extra = "".join(f"{name}: {value}\r\n" for name, value in order.headers.items())
    head = f"POST {order.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{extra}"
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


def _run(order: Order) -> Outcome:
    schedule = Schedule(order.rate, order.seconds) if order.rate else None
    generator = Generator(order, _prepared(order, schedule.count if schedule else 1_000_000))
    # Collecting garbage in the middle of a round would be measured as the service's latency.
    gc.disable()
    seconds = generator.open_loop(schedule) if schedule else generator.closed_loop(order.seconds)
    unanswered = generator.give_up(schedule) if schedule else 0
    return Outcome(
        latencies=generator.latencies,
        own=generator.own,
        seconds=seconds,
        errors=generator.errors,
        unanswered=unanswered,
        statuses=dict(generator.statuses),
    )


def main() -> None:
    """Read an order from standard input, carry it out, print the outcome."""
    sys.stdout.write(json.dumps(asdict(_run(Order(**json.load(sys.stdin))))))


if __name__ == "__main__":
    main()
