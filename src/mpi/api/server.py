"""The HTTP server of one process, and how it leaves: nothing that was asked stays without an answer.

uvicorn closes idle connections at once when it stops. A client that asks at that very moment sees a reset, which a
restart of a busy service turns into failed requests. Here every connection may ask once more: the answer tells
it (``Connection: close``) that the next request belongs elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType

import structlog
import uvicorn

from mpi.api.transport import Protocol
from mpi.settings import Settings

APPLICATION = "mpi.api.app:from_environment"
BACKLOG = 2048
"""Connections that wait to be accepted; the kernel's ``net.core.somaxconn`` may allow fewer."""
LEAVE = signal.SIGUSR1
"""Asks a process to leave while others serve: it waits until its clients have moved. SIGTERM gives them a second."""
MOVING_SECONDS = 5.0
"""How long clients have to move to other processes when one leaves."""
IDLE_SECONDS = 1.0
"""How long connections on which nothing is asked stay open when the whole service stops."""


log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server with a parting that loses no request. ``turned`` is called once a second."""

    def __init__(self, settings: Settings, turned: Callable[[], None] | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                APPLICATION,
                factory=True,
                loop="uvloop",
                http=Protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=settings.keep_alive,
                timeout_graceful_shutdown=settings.shutdown_timeout,
            )
        )
        self._turned = turned
        self._lacks_descriptors = False
        self._hurry = asyncio.Event()

    async def on_tick(self, counter: int) -> bool:
        """See uvicorn: called ten times a second, from the start to the parting."""
        if counter % 10 == 0:
            self._try_descriptors()
            if self._turned is not None:
                self._turned()
        return await super().on_tick(counter)

    def _try_descriptors(self) -> None:
        """Tell when none is left: the loop then accepts connections only to close them, and says nothing."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            if not self._lacks_descriptors:
                log.exception("connections_refused", pid=os.getpid())
            self._lacks_descriptors = True
        else:
            self._lacks_descriptors = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody any more, answer everybody, then end."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # whoever was accepted in this turn of the loop becomes known
        closing = asyncio.create_task(self._close_idle())
        await super().shutdown(sockets)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing

    async def _close_idle(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), MOVING_SECONDS)
        await asyncio.sleep(IDLE_SECONDS)
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol):
                connection.close_if_idle()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """See uvicorn; here also for ``LEAVE``, and for a terminal that is closed unless that is ignored."""
        before = {LEAVE: signal.signal(LEAVE, self._leave)}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self.handle_exit)
        try:
            with super().capture_signals():
                yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn; here also before it serves: nobody waits for it, and a store that hangs must not hold it."""
        if not self.started:
            logging.disable()  # where that finds it is no error, but would be logged as one
            sys.exit(0)
        self._hurry.set()
        super().handle_exit(sig, frame)

    def _leave(self, _sig: int, _frame: FrameType | None) -> None:
        self.should_exit = True
