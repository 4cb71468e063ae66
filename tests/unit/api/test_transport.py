"""Answers leave in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from prometheus_client import Gauge

from mpi.api.transport import Protocol
from mpi.api.wire import CONNECTIONS


async def _app(scope: dict[str, object], receive: object, send: object) -> None:
    assert callable(send)
    headers = [(b"content-length", b"5"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"he", "more_body": True})
    await send({"type": "http.response.body", "body": b"llo"})


class _Wire(asyncio.Transport):
    """Remembers what was written, and in how many pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Protocol, _Wire]]:
    config = uvicorn.Config(_app, log_config=None, access_log=False, http=Protocol)
    config.load()
    state = {CONNECTIONS: Gauge("open", "Open connections.", registry=None)}
    protocol = Protocol(config=config, server_state=uvicorn.server.ServerState(), app_state=state)
    wire = _Wire()
    protocol.connection_made(wire)
    yield protocol, wire
    protocol.connection_lost(None)


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_head_and_body_are_written_together() -> None:
    async with connected() as (protocol, wire):
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await _settled()
        (packet,) = wire.written
        assert packet.startswith(b"HTTP/1.1 200 OK\r\n")
        assert packet.endswith(b"\r\n\r\nhello")
        assert not wire.closed


async def test_an_answer_has_left_when_the_application_goes_on() -> None:
    async with connected() as (protocol, wire):
        packets: list[int] = []

        async def app(scope: dict[str, object], receive: object, send: object) -> None:
            await _app(scope, receive, send)
            packets.append(len(wire.written))

        protocol.app = app
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await _settled()
        assert packets == [1]


async def test_an_answer_is_written_before_its_connection_is_closed() -> None:
    async with connected() as (protocol, wire):
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await _settled()
        assert wire.written[-1].endswith(b"hello")
        assert wire.closed


async def test_answers_keep_their_order_and_their_bytes() -> None:
    async with connected() as (protocol, wire):
        for _ in range(3):
            protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await _settled()
        await _settled()
        assert b"".join(wire.written).count(b"\r\n\r\nhello") == 3
