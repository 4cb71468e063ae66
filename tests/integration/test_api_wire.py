"""What a connection may do before the application sees a request of it, over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from prometheus_client import Gauge
from starlette.types import Receive, Scope, Send

from mpi.api.wire import CONNECTIONS, BoundedHttp
from tests.support.wire import Answer, answers, exchange, receive

SECONDS = 10
GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LEFT = asyncio.Event()
"""Set when the client of ``/endless`` is there no more."""


async def application(scope: Scope, read: Receive, send: Send) -> None:
    """Answers with the path after a moment; ``/0`` without reading the body, others after it."""
    if scope["type"] == "lifespan":
        await read()
        scope["state"][CONNECTIONS] = Gauge("open", "Open connections.", registry=None)
        await send({"type": "lifespan.startup.complete"})
        return
    if scope["path"] != "/0":
        while (message := await read())["type"] == "http.request" and message["more_body"]:
            pass
        if message["type"] == "http.disconnect":
            return
    if scope["path"] == "/endless":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        left = asyncio.ensure_future(read())
        while not left.done():
            await send({"type": "http.response.body", "body": b"a" * 65536, "more_body": True})
            await asyncio.sleep(0)
        LEFT.set()
        return
    await asyncio.sleep(0.05)
    body = scope["path"].encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("HEAD_SECONDS", "LINGER_SECONDS", "SEND_SECONDS"):
        monkeypatch.setattr(f"mpi.api.wire.{limit}", 0.3)


@asynccontextmanager
async def serving(keep_alive: int) -> AsyncIterator[int]:
    """The port of a server that keeps idle connections for so many seconds."""
    config = uvicorn.Config(
        application,
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        timeout_keep_alive=keep_alive,
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = server.force_exit = True
        await task


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(keep_alive=1) as found:
        yield found


async def talk(port: int, *pieces: bytes, pause: float = 0.0, times: int = 1) -> list[Answer]:
    """Send the pieces, the last one again and again, and read until the server closes."""
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        received = asyncio.create_task(receive(reader))
        with suppress(ConnectionError):
            for piece in (*pieces[:-1], *(pieces[-1:] * times)):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        found = await received
        writer.close()
        return answers(found)


async def test_a_connection_that_asks_nothing_is_closed(port: int) -> None:
    assert await talk(port, b"") == []


async def test_a_head_that_comes_drop_by_drop_is_given_up(port: int) -> None:
    head = b"GET /1 HTTP/1.1\r\nX-Slow: "
    assert await talk(port, head, b"a", pause=0.05, times=50) == []


async def test_a_second_head_that_never_ends_is_given_up(port: int) -> None:
    found = await talk(port, GET % 1, b"GET /2", b"a", pause=0.1, times=20)
    assert [answer.body for answer in found] == [b"/1"]


async def test_an_idle_connection_stays_open_for_longer_than_a_head_may_take(port: int) -> None:
    found = await talk(port, GET % 1, GET % 2, pause=0.6)
    assert [answer.body for answer in found] == [b"/1", b"/2"]


async def test_a_second_head_has_no_more_time_because_the_connection_was_idle() -> None:
    async with serving(keep_alive=10 * SECONDS) as port:
        assert len(await talk(port, GET % 1, b"GET /2", pause=0.2)) == 1


async def test_a_head_has_a_size(port: int) -> None:
    found = await talk(port, b"GET /1 HTTP/1.1\r\nX-Large: ", b"a" * 10_000, times=100)
    assert [answer.status for answer in found] in ([431], [])
    allowed = b"GET /1 HTTP/1.1\r\nHost: a\r\nX-Large: " + b"a" * 50_000 + b"\r\n\r\n"
    assert [answer.body for answer in await exchange(port, allowed, seconds=SECONDS)] == [b"/1"]


async def test_trailers_have_a_size(port: int) -> None:
    head = CHUNKED.replace(b"/0", b"/1") + b"0\r\n"
    assert await talk(port, head, b"X-Trailer: a\r\n" * 1000, times=100) == []


async def test_a_body_longer_than_its_answer_is_not_read_for_ever(port: int) -> None:
    found = await talk(port, CHUNKED, b"5\r\nhello\r\n", pause=0.02, times=200)
    assert [answer.body for answer in found] == [b"/0"]


async def test_whoever_asked_and_then_closed_its_side_is_answered(port: int) -> None:
    found = await exchange(port, GET % 1 + GET % 2 + GET % 3, seconds=SECONDS)
    assert [answer.body for answer in found] == [b"/1", b"/2", b"/3"]


async def test_half_a_request_gets_no_answer(port: int) -> None:
    half = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf"
    assert await exchange(port, half, seconds=SECONDS) == []


@pytest.mark.parametrize("rest", [b"nonsense\r\n\r\n", b"\x00" * 100])
async def test_nonsense_after_a_request_does_not_cost_its_answer(port: int, rest: bytes) -> None:
    found = await talk(port, GET % 1 + GET % 2 + rest, b"more", pause=0.01)
    assert [answer.body for answer in found] == [b"/1", b"/2"]


async def test_a_broken_body_is_refused(port: int, caplog: pytest.LogCaptureFixture) -> None:
    broken = CHUNKED.replace(b"/0", b"/1") + b"nonsense\r\n"
    assert [answer.status for answer in await talk(port, broken)] == [400]
    found = await talk(port, GET % 1 + broken)
    assert [answer.body for answer in found] == [b"/1"]
    assert "Exception" not in caplog.text


async def test_a_connection_is_used_again(port: int) -> None:
    found = await talk(port, GET % 1, GET % 2, pause=0.15, times=4)
    assert [answer.body for answer in found] == [b"/1", b"/2", b"/2", b"/2", b"/2"]


async def test_an_answer_that_nobody_reads_is_given_up(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(LEFT.wait(), SECONDS)


async def test_an_answer_that_is_read_slowly_is_not_given_up(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ in range(10):
        await asyncio.sleep(0.1)
        await reader.readexactly(4_000_000)
    writer.close()
