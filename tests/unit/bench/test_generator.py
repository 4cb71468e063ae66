"""The generator against a real server that delays, fails or hangs."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep

import pytest

from bench.generator import Order, generate

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"status":"matched"}'
FAILED = b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def server(answer: bytes, pause: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """Answers everything alike after a pause, in two pieces; lists the bodies it was sent."""
    bodies: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk(connection: socket.socket) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A closed loop ends while answers are under way.
            with suppress(ConnectionError), connection, connection.makefile("rb") as stream:
                while line := stream.readline():
                    length = 0
                    while line.strip():
                        name, _, value = line.partition(b":")
                        if name.lower() == b"content-length":
                            length = int(value)
                        line = stream.readline()
                    bodies.append(stream.read(length))
                    sleep(pause)
                    connection.sendall(answer[:30])
                    connection.sendall(answer[30:])

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], bodies
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def bodies(tmp_path: Path) -> str:
    file = tmp_path / "bodies.ndjson"
    file.write_text("".join(json.dumps({"number": n}) + "\n" for n in range(100)))
    return str(file)


def test_every_request_of_an_open_loop_is_sent_once_and_timed(bodies: str) -> None:
    with server(OK) as (port, sent):
        outcome = generate(Order(port, "/", bodies, 10, 4, seconds=0.5, rate=100))
    assert sorted(json.loads(body)["number"] for body in sent) == list(range(10, 60))
    assert len(outcome.latencies) == 50
    assert outcome.statuses == {"matched": 50}


def test_waiting_for_a_busy_connection_counts_as_latency(bodies: str) -> None:
    with server(OK, pause=0.05) as (port, _):
        outcome = generate(Order(port, "/", bodies, 0, 1, seconds=0.1, rate=100))
    # Ten requests are due within 0.1 s, and each holds the only connection for 0.05 s.
    assert max(outcome.latencies) > 10 * 50 - 100


def test_a_closed_loop_asks_again_as_soon_as_it_is_answered(bodies: str) -> None:
    with server(OK) as (port, sent):
        outcome = generate(Order(port, "/", bodies, 0, 2, seconds=0.3))
    assert len(sent) >= len(outcome.latencies) > 2
    assert len(set(sent)) > 2, "each asks something else"


def test_a_round_with_errors_measures_nothing(bodies: str) -> None:
    with server(FAILED) as (port, _), pytest.raises(RuntimeError, match="answers were errors"):
        generate(Order(port, "/", bodies, 0, 1, seconds=0.1, rate=50))


def test_an_open_loop_without_enough_queries_is_refused(bodies: str) -> None:
    with server(OK) as (port, _), pytest.raises(RuntimeError, match="too few requests"):
        generate(Order(port, "/", bodies, 0, 1, seconds=2, rate=100))
