"""The simulator's two servers: Verato's interface over HTTPS with client certificates, and the control port.

The control port is plain HTTP on loopback and takes and tells nothing about patients.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mpi.demo.verato.certificates import Certificates
from mpi.demo.verato.faults import Fault
from mpi.demo.verato.operations import VERSIONED
from mpi.demo.verato.service import JSON, Dropped, Simulated

PREFIX = "/link-ws/svc"
LOOPBACK = "127.0.0.1"
_GRACE_S = 1
_NO_LINGERING = struct.pack("ii", 1, 0)


class SimulatorServer:
    """Both servers. Ports of 0 are replaced by free ones, which are known from the beginning."""

    def __init__(
        self, simulated: Simulated, files: Certificates, *, port: int = 0, control_port: int = 0
    ) -> None:
        self.simulated = simulated
        self._sockets = [_listening(port), _listening(control_port)]
        self.port, self.control_port = (each.getsockname()[1] for each in self._sockets)
        self._front = uvicorn.Server(
            uvicorn.Config(
                self._front_door,
                ssl_certfile=files.server,
                ssl_ca_certs=str(files.ca),
                ssl_cert_reqs=ssl.CERT_REQUIRED,
                **_COMMON,
            )
        )
        self._control = uvicorn.Server(uvicorn.Config(control_app(simulated), **_COMMON))

    @property
    def endpoint(self) -> str:
        """As ``VERATO_ENDPOINT`` takes it."""
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def control(self) -> str:
        """Where the fault plan is written."""
        return f"http://{LOOPBACK}:{self.control_port}"

    @property
    def started(self) -> bool:
        return self._front.started and self._control.started

    async def serve(self) -> None:
        """Until a signal comes, or :meth:`stop`."""
        try:
            await asyncio.gather(
                self._control.serve([self._sockets[1]]), self._front.serve([self._sockets[0]])
            )
        finally:
            # What hangs on purpose hangs no longer.
            for connection in tuple(self._connections()):
                with suppress(AttributeError):  # asyncio's own, of one that has just been closed
                    connection.transport.abort()
            await asyncio.sleep(0)

    def stop(self) -> None:
        """Let :meth:`serve` end; may be called from another thread."""
        self._front.should_exit = self._control.should_exit = True

    async def _front_door(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        operation, version = _route(scope["path"])
        try:
            await request.body()
        except ClientDisconnect:  # nobody is left to be answered
            return
        answering = asyncio.ensure_future(self.simulated.answer(request, operation, version))
        leaving = asyncio.ensure_future(_left(receive, answering))
        try:
            response = await answering
        except Dropped as dropped:
            await self._tear(scope, send, dropped.beginning)
        except asyncio.CancelledError:
            if not leaving.done():
                raise
        else:
            await response(scope, receive, send)
        finally:
            leaving.cancel()

    def _connections(self) -> set[Any]:
        return {*self._front.server_state.connections, *self._control.server_state.connections}

    async def _tear(self, scope: Scope, send: Send, beginning: bytes | None) -> None:
        """End the connection without an answer, or in the middle of one."""
        if beginning is not None:
            length = str(len(beginning)).encode()
            headers = [(b"content-type", JSON.encode()), (b"content-length", length)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            half = beginning[: len(beginning) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
        for connection in self._connections():
            if connection.client == scope["client"]:
                transport = connection.transport
                if beginning is None:
                    transport.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING
                    )
                    transport.abort()
                else:
                    transport.close()
                return


async def _left(receive: Receive, answering: asyncio.Future[Response]) -> None:
    """A client that goes away ends what hangs for its sake. The body has been received before."""
    await receive()
    answering.cancel()


def _route(path: str) -> tuple[str, str]:
    """Operation and version; an operation of no known name for paths that are not there."""
    inside = path.removeprefix(f"{PREFIX}/")
    if inside == path:
        return "", "v1"
    if inside.startswith("v2/"):
        operation = inside.removeprefix("v2/")
        return (operation if operation in VERSIONED else ""), "v2"
    return inside, "v1"


def control_app(simulated: Simulated) -> Starlette:
    """``/__sim/…``: what goes wrong, how fast, what the clock says, and what was counted."""

    async def plan(given: Any) -> None:
        simulated.faults.add([Fault.read(one) for one in given if isinstance(one, dict)])

    async def clear(_: Any) -> None:
        simulated.faults.clear()

    async def reset(_: Any) -> None:
        simulated.reset()

    async def clock(given: Any) -> None:
        simulated.ahead += timedelta(seconds=float(given[0]["advance_s"]))

    async def pace(given: Any) -> None:
        simulated.limit.set(float(given[0].get("tps", simulated.limit.tps)))
        simulated.latency_ms = float(given[0].get("latency_ms", simulated.latency_ms))

    async def state(_: Request) -> Response:
        return Response(orjson.dumps(simulated.state()), media_type=JSON)

    return Starlette(
        routes=[
            Route("/__sim/faults", _taking(plan), methods=["POST"]),
            Route("/__sim/faults", _taking(clear), methods=["DELETE"]),
            Route("/__sim/reset", _taking(reset), methods=["POST"]),
            Route("/__sim/clock", _taking(clock), methods=["POST"]),
            Route("/__sim/pace", _taking(pace), methods=["POST"]),
            Route("/__sim/state", state),
        ]
    )


def _taking(act: Callable[[Any], Awaitable[None]]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for a JSON object or a list of them; 422 without a word when it cannot be read."""

    async def endpoint(request: Request) -> Response:
        try:
            given = orjson.loads(await request.body() or b"{}")
            await act(given if isinstance(given, list) else [given])
        except (ValueError, TypeError, KeyError):
            return Response(status_code=422)
        return Response(status_code=204)

    return endpoint


def _listening(port: int) -> socket.socket:
    # Only where the protocol is named does asyncio send small answers at once; others wait 40 ms for the client.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    return listener


_COMMON: dict[str, Any] = {
    "interface": "asgi3",
    "http": "h11",
    "loop": "asyncio",
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": _GRACE_S,
}
