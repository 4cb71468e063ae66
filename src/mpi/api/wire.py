"""uvicorn's HTTP with bounds on what comes before a body, where no layer of the application can see it yet.

Left alone, it would wait for ever for the rest of a request's head, keep a head of any size in
memory, and drop the answer to a client that closes its sending side, or sends nonsense, after asking.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle
from time import monotonic
from typing import Any

from prometheus_client import Gauge
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CONNECTIONS = "mpi.connections"
"""Where the application's state holds the gauge of open connections."""
HEAD_BYTES = 64 * 1024
"""Bytes that may arrive without completing a head or bringing a body; trailers count as well."""
HEAD_SECONDS = 10.0
"""Time for a head, from the opening of the connection or, after an answer, from its first byte."""
LINGER_SECONDS = 2.0
"""How long the rest of a body is thrown away after its answer, so that the client gets to read that."""
SEND_SECONDS = 30.0
"""How long an answer waits for a client that reads nothing of it."""
_CLOCK_TICK = 0.002
"""Timers of the loop count in milliseconds: one may come so much too early."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._is_asked = False
        self._unfinished = 0
        self._due: float | None = None
        self._timer: TimerHandle | None = None
        self._timer_at = 0.0
        self._unread: TimerHandle | None = None
        self._is_parting = False
        self._open: Gauge = self.app_state[CONNECTIONS]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._open.inc()
        self._close_in(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.dec()
        self._stop_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        is_new, self._unfinished = not self._unfinished, self._unfinished + len(data)
        super().data_received(data)
        if is_new and self._unfinished and self._is_asked and not self._is_answering:
            self._close_in(HEAD_SECONDS)  # the next head has begun
        if self._unfinished > HEAD_BYTES and not self.transport.is_closing():
            if not self._is_answering:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        self._call_off()
        super().on_headers_complete()
        self._is_asked = True
        if self._is_parting:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if (
            self.cycle.response_complete
        ):  # and not one of several, of which the last is still to come
            idle = HEAD_SECONDS if self._unfinished else self.timeout_keep_alive
            self._close_in(LINGER_SECONDS if self.cycle.more_body else idle)

    def shutdown(self) -> None:
        """Let the answer to the latest request, or to one more, be the last."""
        self._is_parting = True
        if self._is_answering:
            self.cycle.keep_alive = False

    def close_if_idle(self) -> None:
        """Close now unless something was asked."""
        if not self._is_answering:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What cannot be read ends the connection, but not the answers to what was read before it."""
        if not self._is_answering:
            super().send_400_response(msg)
            return
        self.flow.pause_reading()
        if not self.cycle.more_body:
            self.cycle.keep_alive = False
            return
        # The body of the latest request is broken: whoever reads it is told that no more will come.
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.pipeline:
            self._close_in(LINGER_SECONDS)
        elif self.cycle.response_started:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was asked in full, then close; what was not asked in full is given up."""
        if not self._is_answering or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    @property
    def _is_answering(self) -> bool:
        return self._is_asked and not self.cycle.response_complete

    def _close_in(self, seconds: float) -> None:
        """Close the connection then, unless this is called again, or called off, before."""
        self._due = monotonic() + seconds
        if self._timer is not None and self._timer_at > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._look_in(seconds)

    def _look_in(self, seconds: float) -> None:
        self._timer_at = monotonic() + seconds
        self._timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """A connection has one timer, as renewing it with every request costs more than looking now and then."""
        self._timer = None
        if self._due is None:
            return
        left = self._due - monotonic()
        if left > _CLOCK_TICK:
            self._look_in(left)
        else:
            self.transport.close()

    def _call_off(self) -> None:
        self._due = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
