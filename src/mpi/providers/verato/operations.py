"""What is asked of Verato and written there, in our words: records in, link ids out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Any

from mpi.domain.errand import Lane
from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordKey
from mpi.errors import ProviderRefusal
from mpi.providers.verato.client import Ask, Check, VeratoClient
from mpi.providers.verato.order import InOrder
from mpi.providers.verato.outcome import CONSEQUENCES, CallOutcome, Reason
from mpi.providers.verato.pacing import NoTurn
from mpi.providers.verato.payload import Content, PayloadForm, Reply
from mpi.providers.verato.transport import Operation

POST = Operation("postIdentity", writes=True, versioned=True)
QUERY = Operation("demographicsQuery", versioned=True)
SEARCH = Operation("demographicsSearch", member="searchResults", versioned=True)
NATIVE = Operation("nativeIdQuery", versioned=True)
BY_LINK = Operation("identityIdQuery", versioned=True)
LINK = Operation("linkIdentities", writes=True)
UNLINK = Operation("unlinkIdentities", member="unlinkedId", writes=True)
MERGE = Operation("mergeIdentities", writes=True)
NOTIFICATIONS = Operation("searchNotifications", member="notifications")

_NOBODY = "mpi-service-probe"
"""A number that no source gives: asked for to see whether Verato answers, without touching a patient."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A person of a search: Verato's score from 0 to 1, and whether it takes them for the same (Y, U, N)."""

    link_id: str
    score: float
    same: str


class VeratoIndex:
    """The customer's index at Verato. Writes about one registration wait for each other: the last one counts there."""

    def __init__(self, client: VeratoClient, form: PayloadForm) -> None:
        self.client = client
        self._form = form
        self._order = InOrder()

    async def post(
        self,
        record: StoredRecord,
        lane: Lane = Lane.REAL_TIME,
        *,
        new: bool,
        within: float = math.inf,
        in_turn: bool = False,
    ) -> Reply:
        """Register or update, ``within`` so many seconds, the wait for others about this record among them.

        ``new``: this record was never posted before, so that finding it proves its arrival. ``in_turn``: the caller
        holds :meth:`turn_of` the record.
        """
        source = self._form.source(record.key)

        async def check(ask: Ask) -> Reply | None:
            found = await ask(NATIVE, self._formats() | {"source": source})
            # An update cannot be told from the version before it; posting it twice changes nothing.
            return _taken(found) if new or not _answered(found) else None

        until = monotonic() + within
        try:
            async with nullcontext() if in_turn else self._order.of(record.key, within=within):
                content = self._formats() | {"identity": self._form.identity(record, posted=True)}
                left = until - monotonic()
                return await self.client.write(POST, content, check, lane, within=left)
        except NoTurn:
            return Reply(CallOutcome.THROTTLED, Reason.OWN_LIMIT, sent=False)

    def turn_of(self, key: RecordKey) -> AbstractAsyncContextManager[None]:
        """Nobody else in this process tells of the record meanwhile."""
        return self._order.of(key)

    async def query(self, record: StoredRecord, *, within: float = math.inf) -> Reply:
        """The one person above Verato's own threshold, if any; ``within`` so many seconds."""
        identity = self._form.identity(record, posted=False)
        content = self._formats() | {"identity": identity}
        return await self.client.read(QUERY, content, within=within)

    async def search(
        self, record: StoredRecord, limit: int, threshold: float = 0.0
    ) -> tuple[Reply, tuple[SearchResult, ...]]:
        """Candidates, best first; none when there is no answer either."""
        content = {
            "identity": self._form.identity(record, posted=False),
            "matchScoreThreshold": threshold,
            "maxSearchResults": limit,
        }
        reply = await self.client.read(SEARCH, content)
        return reply, tuple(_candidates(reply.content.get("searchResults")))

    async def find(self, key: RecordKey, lane: Lane = Lane.REAL_TIME) -> Reply:
        """The person of a registration."""
        content = self._formats() | {"source": self._form.source(key)}
        return await self.client.read(NATIVE, content, lane)

    async def current(self, link_id: str, lane: Lane = Lane.REAL_TIME) -> Reply:
        """The id by which a link goes now."""
        return await self.client.read(BY_LINK, self._formats() | {"linkId": link_id}, lane)

    def refusal(self, key: RecordKey) -> ProviderRefusal | None:
        """Why nothing may be told of a number that Verato would take for one of another source of ours."""
        if self._form.names(key.source):
            return None
        return ProviderRefusal(
            "VERATO_SOURCE_MAP gives the name of this source to another one; map this one as well"
        )

    def keys_of(self, name: str, native_id: str) -> Iterator[RecordKey]:
        """The registrations of ours that Verato may mean by its name of a source and the number there."""
        return (RecordKey(source, native_id) for source in self._form.ours(name))

    async def link(self, to: RecordKey, key: RecordKey) -> Reply:
        """Make two registrations, and with them their persons, one."""

        async def check(ask: Ask) -> Reply | None:
            one, other = await self._both(ask, to, key)
            if not (_answered(one) and _answered(other)):
                return _undecided(one, other)
            return other if one.link_id == other.link_id is not None else None

        content = {"linkToSource": self._form.source(to), "source": self._form.source(key)}
        async with self._order.of(to, key):
            return await self._write(LINK, content, check)

    async def unlink(self, origin: RecordKey, key: RecordKey) -> Reply:
        """Take a registration out of the person that it shares with another."""

        async def check(ask: Ask) -> Reply | None:
            one, other = await self._both(ask, origin, key)
            if not (_answered(one) and _answered(other)):
                return _undecided(one, other)
            return other if one.link_id != other.link_id else None

        content = {"unlinkFromSource": self._form.source(origin), "source": self._form.source(key)}
        async with self._order.of(origin, key):
            return await self._write(UNLINK, content, check)

    async def merge(self, survivor: RecordKey, retire: RecordKey) -> Reply:
        """Retire one number of a patient in favour of another of the same source."""
        retired = self._form.source(retire)

        async def check(ask: Ask) -> Reply | None:
            found = await ask(NATIVE, self._formats() | {"source": retired})
            if not _answered(found):
                return _undecided(found)
            counts = self.counts(found, retire)
            if counts is None:
                return replace(found, outcome=CallOutcome.UNKNOWN, content={})
            return None if counts else found

        content = {"toSurviveSource": self._form.source(survivor), "toRetireSource": retired}
        async with self._order.of(survivor, retire):
            return await self._write(MERGE, content, check)

    async def _write(self, operation: Operation, content: Content, check: Check) -> Reply:
        """What somebody else has done meanwhile is refused, and as good as done by us."""
        reply = await self.client.write(operation, content, check)
        if reply.outcome is not CallOutcome.REJECTED:
            return reply
        return await check(self.client.read) or reply

    def counts(self, found: Reply, key: RecordKey) -> bool | None:
        """Whether the person that was found is made of this registration too; None when it is not said.

        A retired number is still found, but is no longer part of what the person is made of.
        """
        identity = found.content.get("identity")
        sources = identity.get("sources") if isinstance(identity, dict) else None
        return self._form.source(key) in sources if isinstance(sources, list) else None

    async def notifications(self, start: datetime, end: datetime, page: int) -> Reply:
        """One page of what has changed in a span of time; ``hasNext`` tells whether there is another."""
        content = {
            "startDate": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "endDate": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "pageNumber": page,
            "pageSize": 100,
        }
        return await self.client.read(NOTIFICATIONS, content, Lane.BATCH)

    async def probe(self, source: str | None) -> Reply:
        """Whether Verato answers, and lets this user name the source: asks for a number that nobody has."""
        if source is None:
            return await self.current(_NOBODY)
        return await self.find(RecordKey(source, _NOBODY))

    def _formats(self) -> Content:
        return {"responseIdentityFormatNames": list(self._form.formats)}

    async def _both(self, ask: Ask, one: RecordKey, other: RecordKey) -> tuple[Reply, Reply]:
        first = await ask(NATIVE, self._formats() | {"source": self._form.source(one)})
        return first, await ask(NATIVE, self._formats() | {"source": self._form.source(other)})


def _answered(reply: Reply) -> bool:
    return CONSEQUENCES[reply.outcome].is_answer


def _taken(found: Reply) -> Reply | None:
    """What a look-up says of a write: done, not done, or still not known."""
    if not _answered(found):
        return _undecided(found)
    return found if found.outcome is CallOutcome.LINKED else None


def _undecided(*replies: Reply) -> Reply:
    """The write's outcome when the look-ups got no answer."""
    worst = next(reply for reply in replies if not _answered(reply))
    return replace(worst, outcome=CallOutcome.UNKNOWN, content={})


def _candidates(results: Any) -> Iterator[SearchResult]:
    for result in results if isinstance(results, list) else ():
        if not isinstance(result, dict):
            continue
        link_id, score = result.get("linkId"), result.get("matchScore")
        if isinstance(link_id, str) and link_id and isinstance(score, int | float):
            yield SearchResult(link_id, float(score), str(result.get("sameIdentity") or ""))
