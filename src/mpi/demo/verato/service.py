"""One simulated Verato behind its interface: who may call, how often, what is answered, what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import gzip
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mpi.demo.verato.faults import REPLIES, Fault, FaultPlan, Kind
from mpi.demo.verato.identities import Malformed
from mpi.demo.verato.operations import WRITES, NotFound, Tenant, is_known
from mpi.demo.verato.registry import OVERLAY, UNKNOWN, Refused, Registry
from mpi.demo.verato.truth import People

HANGING_S = 3600.0
_INFLATED_BYTES = 20 << 20
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Options:
    """How the simulator behaves. ``tps`` is the limit on requests per second; 0 means none."""

    username: str = "simulator"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    sources: tuple[str, ...] = ("SIMULATOR",)
    seed: int = 1
    tps: float = 10
    latency_ms: float = 0


class Limit:
    """A token bucket that holds one second's worth: what is beyond it is not served."""

    def __init__(self, tps: float) -> None:
        self.set(tps)

    def set(self, tps: float) -> None:
        """Begin with a full bucket; it holds one request at least."""
        self.tps = tps
        self._size = self._tokens = max(1.0, tps)
        self._at = monotonic()

    def admits(self) -> bool:
        """Take a token if there is one."""
        if not self.tps:
            return True
        now = monotonic()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self.tps)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Dropped(Exception):
    """The connection is to be torn down, after sending ``beginning`` of an answer (None: nothing at all)."""

    def __init__(self, beginning: bytes | None = None) -> None:
        super().__init__()
        self.beginning = beginning


class Simulated:
    """A customer's Verato. What it counts names operations and answers, never a patient."""

    def __init__(self, options: Options, people: People) -> None:
        self.options = options
        self.people = people
        self.faults = FaultPlan(options.seed)
        self.limit = Limit(options.tps)
        self.latency_ms = options.latency_ms
        self._basic = b"Basic " + base64.b64encode(
            f"{options.username}:{options.password}".encode()
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything but the people, the limit and the latency."""
        self.ahead = timedelta()
        self.calls: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.applied: Counter[str] = Counter()
        self.open, self.most_open = 0, 0
        self.faults.clear()
        start = datetime(1970, 1, 1, tzinfo=UTC)
        sources = dict.fromkeys(self.options.sources, start)
        self.tenant = Tenant(Registry(self.people, self.now), self.now, sources)

    def now(self) -> datetime:
        """The time as the simulator tells it."""
        return datetime.now(UTC) + self.ahead

    def state(self) -> dict[str, Any]:
        """Counts for whoever watches."""
        return {
            **self.tenant.registry.counts(),
            "calls": dict(self.calls),
            "answers": dict(self.answers),
            "applied": dict(self.applied),
            "open": self.open,
            "most_open": self.most_open,
            "faults": len(self.faults),
        }

    async def answer(self, request: Request, operation: str, version: str) -> Response:
        """The answer to one request. Raises ``Dropped`` when there is to be none, or only a part."""
        self.calls[operation] += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            response = await self._answer(request, operation, version)
        finally:
            self.open -= 1
        self.answers[str(response.status_code)] += 1
        return response

    async def _answer(self, request: Request, operation: str, version: str) -> Response:
        if not secrets.compare_digest(
            request.headers.get("authorization", "").encode(), self._basic
        ):
            return _reply(Kind.REFUSED_401)
        if not self.limit.admits():
            return _reply(Kind.TEXT_429)
        if not is_known(operation):
            return _reply(Kind.BLANK_404)
        fault = self.faults.take(operation)
        if self.latency_ms:
            await asyncio.sleep(self.latency_ms / 1000)
        body = await request.body()
        if fault is not None and (instead := await _instead(fault)) is not None:
            return instead
        try:
            envelope = self._perform(operation, version, body, fault)
        except Malformed:
            return _reply(Kind.BLANK_400)
        return await _delivered(envelope, fault)

    def _perform(
        self, operation: str, version: str, body: bytes, fault: Fault | None
    ) -> dict[str, Any]:
        tracking_id, content = _read(body)
        envelope: dict[str, Any] = {
            "success": True,
            "message": "",
            "content": {},
            "trackingId": tracking_id,
            "auditId": str(uuid4()),
            "retryableError": False,
            "errors": [],
            "warnings": [],
        }
        try:
            envelope["content"] = self._apply(operation, content, version, fault)
        except NotFound:
            envelope["message"] = UNKNOWN
        except Refused as refused:
            envelope |= {"success": False, "message": str(refused), "errors": [str(refused)]}
        return envelope

    def _apply(
        self, operation: str, content: dict[str, Any], version: str, fault: Fault | None
    ) -> dict[str, Any]:
        kind = fault.kind if fault is not None else None
        if kind is Kind.SUCCESS_FALSE and fault is not None:
            raise Refused(fault.value or "The request breaks a rule")
        if kind is Kind.OVERLAY:
            if operation == "postIdentity":
                self.tenant.registry.overlay(self.tenant.key(content["identity"]["sources"][0]))
            raise Refused(OVERLAY)
        self.tenant.arrived = int(kind is Kind.PAGING_SHIFT)
        answer = self.tenant.perform(operation, content, version)
        self._count(operation)
        if kind is Kind.DUPLICATE_DELIVERY and operation in WRITES:
            answer = self.tenant.perform(operation, content, version)
            self._count(operation)
        if kind is Kind.LINK_ID_CHANGED and "linkId" in answer:
            self.tenant.registry.rename(answer["linkId"])
        return answer

    def _count(self, operation: str) -> None:
        if operation in WRITES:
            self.applied[operation] += 1


def _read(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed from None
    if not isinstance(request, dict) or not isinstance(request.get("content"), dict):
        raise Malformed
    return str(request.get("trackingId") or ""), request["content"]


def _reply(kind: Kind, wait: str = "") -> Response:
    status, media, text = REPLIES[kind]
    headers = {"retry-after": wait} if wait else None
    return Response(text, status, headers=headers, media_type=media)


async def _instead(fault: Fault) -> Response | None:
    """What happens before anything is applied; None when the request goes on."""
    if fault.kind in REPLIES:
        return _reply(fault.kind, fault.value)
    if fault.kind is Kind.RESET:
        raise Dropped
    if fault.kind is Kind.HANG:
        await asyncio.sleep(HANGING_S)
    if fault.kind is Kind.SLOW:
        await asyncio.sleep(float(fault.value) / 1000)
    return None


async def _delivered(envelope: dict[str, Any], fault: Fault | None) -> Response:
    """The answer on its way out: whole, spoilt, in part or never."""
    kind = fault.kind if fault is not None else None
    if kind is Kind.APPLIED_THEN_TIMEOUT:
        await asyncio.sleep(HANGING_S)
    body = orjson.dumps(_altered(envelope, kind))
    if kind is Kind.CLOSE_MID_BODY:
        raise Dropped(body)
    if kind is Kind.MALFORMED_JSON:
        body = body[:-1]
    if kind is Kind.EMPTY_200:
        body = b""
    if kind is Kind.INFLATED:
        blown_up = gzip.compress(body + b" " * _INFLATED_BYTES, compresslevel=1)
        return Response(blown_up, headers={"content-encoding": "gzip"}, media_type=JSON)
    return Response(body, media_type=JSON)


_SPOILT: dict[Kind | None, dict[str, Any]] = {
    Kind.MISSING_LINK_ID: {},
    Kind.NUMERIC_LINK_ID: {"linkId": 12345},
    Kind.LONG_LINK_ID: {"linkId": "L" * 3_000},
    Kind.ENDLESS_PAGES: {"hasNext": True},
}
"""What stands in the content instead of the link id."""


def _altered(envelope: dict[str, Any], kind: Kind | None) -> dict[str, Any]:
    content = envelope["content"]
    if kind is Kind.WRONG_TRACKING_ID:
        return envelope | {"trackingId": str(uuid4())}
    if kind is Kind.UNKNOWN_FIELDS:
        return envelope | {"surprise": {"a": 1}, "content": content | {"unheard": [1, 2]}}
    if kind in _SPOILT:
        kept = {name: value for name, value in content.items() if name != "linkId"}
        return envelope | {"content": kept | _SPOILT[kind]}
    if kind is Kind.NOTIFICATIONS_OUT_OF_ORDER and "notifications" in content:
        return envelope | {"content": content | {"notifications": content["notifications"][::-1]}}
    if kind is Kind.DUPLICATE_DELIVERY and "notifications" in content:
        return envelope | {"content": content | {"notifications": content["notifications"] * 2}}
    return envelope
