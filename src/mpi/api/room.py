"""A bound on what all requests of a process together hold of large bodies."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mpi.api.middleware import header
from mpi.api.problems import Overloaded

SMALL = 64 * 1024
"""Bytes of a body that never have to wait for room."""


class Room:
    """Refuses large bodies while ``size`` bytes of others are held, so that many cannot fill the memory."""

    def __init__(self, app: ASGIApp, *, size: int) -> None:
        self._app = app
        self._free = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Reading its body may raise ``Overloaded``."""
        declared = header(scope, b"content-length") if scope["type"] == "http" else None
        if declared is not None and declared.isdigit() and int(declared) <= SMALL:
            # The server hands on no more than was declared.
            await self._app(scope, receive, send)
            return
        read = taken = 0

        async def counted() -> Message:
            nonlocal read, taken
            message = await receive()
            size = len(message.get("body", b""))
            read += size
            if read > SMALL:
                self._free -= size
                taken += size
                if self._free < 0:
                    raise Overloaded("too many large bodies at once; it is safe to repeat")
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._free += taken
