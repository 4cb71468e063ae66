"""One request to Verato over one pool of connections, and what became of it."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass, replace
from uuid import uuid4

import httpx2
import orjson

from mpi.providers.verato.access import Access
from mpi.providers.verato.outcome import CallOutcome, Reason
from mpi.providers.verato.payload import Content, Reply, read_reply
from mpi.resilience import LONGEST_PAUSE_S

_GRACE_S = 0.02
_ENDED = ConnectionResetError | BrokenPipeError | ConnectionAbortedError
_LARGEST_ANSWER = 16 << 20
"""Bytes, after decompression. A page of a hundred notifications has some ten thousand."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One of Verato's. A success says something in ``member``; ``versioned`` ones have a second form."""

    name: str
    member: str = "linkId"
    writes: bool = False
    versioned: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, for a part of the answer to come, and for a call with all that belongs to it."""

    connect: float
    read: float
    total: float


class Transport:
    """Sends requests with the certificate and the name of the customer. Belongs to one event loop."""

    def __init__(
        self, access: Access, *, version: str, overlay: str, connections: int, kept: int
    ) -> None:
        self._endpoint = access.endpoint
        self._version = version
        self._overlay = re.compile(overlay)
        self._http = httpx2.AsyncClient(
            verify=access.context,
            # Compressed, a small part of an answer may become any size before that is noticed.
            headers=access.headers
            | {"Content-Type": "application/json", "Accept-Encoding": "identity"},
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=kept),
            trust_env=False,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def send(
        self, operation: Operation, content: Content, times: Timeouts, left: float
    ) -> Reply:
        """Send one request and judge its end, within ``left`` seconds. Raises nothing."""
        tracking_id = str(uuid4())
        part = "v2/" if operation.versioned and self._version == "v2" else ""
        outcome = CallOutcome.UNKNOWN if operation.writes else CallOutcome.UNAVAILABLE
        try:
            # Cancelled from outside, a handshake would leave its socket open: it ends by itself first. To connect and
            # to shake hands have the time of ``connect`` each.
            async with asyncio.timeout(left + _GRACE_S):
                async with self._http.stream(
                    "POST",
                    f"{self._endpoint}/{part}{operation.name}",
                    content=orjson.dumps({"trackingId": tracking_id, "content": content}),
                    timeout=httpx2.Timeout(
                        min(times.read, left), connect=min(times.connect, left / 2), pool=left
                    ),
                ) as response:
                    body = await _read(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return replace(_unconnected(error), tracking_id=tracking_id)
        except (httpx2.TimeoutException, TimeoutError):
            return Reply(outcome, Reason.TOO_SLOW, tracking_id=tracking_id)
        except (httpx2.TransportError, httpx2.DecodingError):
            return Reply(CallOutcome.UNAVAILABLE, Reason.TORN, tracking_id=tracking_id)
        return self._judged(operation, response, body, tracking_id)

    def _judged(
        self, operation: Operation, response: httpx2.Response, body: bytes, tracking_id: str
    ) -> Reply:
        status = response.status_code
        if status == 200:
            reply = read_reply(body, tracking_id, operation.member, self._overlay)
            if operation.writes and reply.outcome is CallOutcome.NO_MATCH:
                return replace(reply, outcome=CallOutcome.UNKNOWN, reason=Reason.NOT_VERATO)
            return reply
        outcome, reason = _STATUSES.get(status, _by_class(status))
        return Reply(
            outcome, reason, tracking_id=tracking_id, retry_after=_seconds(response.headers)
        )


async def _read(response: httpx2.Response) -> bytes:
    """What was answered; nothing, which is no answer, where that is more than any answer of Verato's."""
    parts: list[bytes] = []
    length = 0
    async for part in response.aiter_bytes():
        length += len(part)
        if length > _LARGEST_ANSWER:
            return b""
        parts.append(part)
    return b"".join(parts)


def _unconnected(error: Exception) -> Reply:
    reason = Reason.NO_CONNECTION
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = Reason.SERVER_CERTIFICATE
        elif isinstance(cause, socket.gaierror):
            reason = Reason.UNKNOWN_HOST
        elif _is_refusal(cause):
            reason = Reason.TORN
        cause = cause.__cause__ or cause.__context__
    return Reply(CallOutcome.UNAVAILABLE, reason, sent=False)


def _is_refusal(error: BaseException) -> bool:
    """Whether somebody is there and ended the handshake, as TLS 1.2 has it where a client certificate is not accepted:
    with an alert, or without a word. From TLS 1.3 on this comes after the handshake."""
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return True
    return isinstance(error, ssl.SSLZeroReturnError | _ENDED)


def _seconds(headers: httpx2.Headers) -> float | None:
    """What ``Retry-After`` asks for, within bounds, where it is given in seconds."""
    text = headers.get("retry-after", "")
    is_number = text.isascii() and text.isdigit()
    return min(float(text), LONGEST_PAUSE_S) if is_number else None


_STATUSES = {
    401: (CallOutcome.AUTH_ERROR, Reason.WRONG_PASSWORD),
    403: (CallOutcome.AUTH_ERROR, Reason.FORBIDDEN),
    404: (CallOutcome.CONFIG_ERROR, Reason.NO_SUCH_PATH),
    405: (CallOutcome.CONFIG_ERROR, Reason.NO_SUCH_PATH),
    408: (CallOutcome.UNAVAILABLE, Reason.TOO_SLOW),
    429: (CallOutcome.THROTTLED, Reason.RATE_LIMIT),
}


def _by_class(status: int) -> tuple[CallOutcome, Reason]:
    if status >= 500:
        return CallOutcome.UNAVAILABLE, Reason.SERVER_ERROR
    if 400 <= status < 500:
        return CallOutcome.REJECTED, Reason.BAD_REQUEST
    return CallOutcome.CONFIG_ERROR, Reason.NO_SUCH_PATH  # a redirect, or nothing known
