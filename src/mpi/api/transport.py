"""How answers leave: the head and the body of one in a single packet."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from mpi.api.wire import BoundedHttp


class _Gathering:
    """A transport that writes once per turn of the loop, or at the end of an answer, what was written in pieces.

    Each write is a call to the kernel, which wakes the client: for half an answer, that is time twice spent.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send ``data`` before anything else happens on the loop."""
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)

    def close(self) -> None:
        """Send what is left, then end."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what is there."""
        pieces, self._pieces = self._pieces, []
        if pieces and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))


class Protocol(BoundedHttp):
    """The server's bounded HTTP protocol, over a gathering transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        self._gathering = _Gathering(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", self._gathering))

    def on_response_complete(self) -> None:
        """The whole answer is written: it leaves before the request is counted and logged."""
        self._gathering.flush()
        super().on_response_complete()
