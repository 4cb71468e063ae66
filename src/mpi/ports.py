"""The contracts between the heart and its adapters. An adapter is right when it passes ``tests/contract``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mpi.domain.errand import Errand, Lane, LeasedErrand, Waiting
from mpi.domain.identity import (
    Assertion,
    Candidate,
    Committed,
    Event,
    IdentityChange,
    Neighbourhood,
    PersonState,
    StoredRecord,
    Task,
    TaskStatus,
    Told,
)
from mpi.domain.record import Guarded, RecordKey
from mpi.errors import MpiError
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Decision, Explanation


class IdentityStore(Protocol):
    """Who is who. Every method may raise ``StoreUnavailable``; no answer is ever half of a change."""

    async def candidates(
        self, blocking_keys: Sequence[tuple[int, tuple[int, ...]]]
    ) -> Neighbourhood:
        """Every person owning an active record under one of the keys, all its active records, their assertions.

        Each key comes with its narrower keys (same trait, one further trait joined). A block of more
        than the store's limit is not read; its narrower blocks are read instead and ``narrowed`` counts it.
        """
        ...

    async def record(self, key: RecordKey) -> StoredRecord | None:
        """The current version (ACTIVE, or DELETED when retired), with its person; None if never seen."""
        ...

    async def versions(self, key: RecordKey) -> tuple[StoredRecord, ...]:
        """Every stored version, oldest first, including PENDING, HISTORY and DELETED ones."""
        ...

    async def person(self, mpi_id: str) -> PersonState | None:
        """The person of that very id, retired or not (aliases are not followed); None if never minted."""
        ...

    async def assertions(self, keys: Sequence[RecordKey]) -> tuple[Assertion, ...]:
        """Assertions in force that name any of these records."""
        ...

    async def commit(self, change: IdentityChange, *more: IdentityChange) -> Committed:
        """Apply the change: versions, links, persons, assertions, tasks and one event – all or nothing, durable.

        Several changes become one event each, in their order, all or none; the answer tells of the last.
        What guards them (positions, expected versions) is compared with the index before the first.

        Raises ``ConcurrentChange`` when, after ``change.position``, an event touched a record under one of
        ``guard_keys`` or a person named in the change; ``PreconditionFailed`` when an expected version differs.
        A task equal in kind and record to an open one is not opened twice: the open one's id is returned.

        The store numbers persons, versions (``change.record.version`` is ignored), events and tasks.
        An ACTIVE or DELETED version becomes the current one, the one before it HISTORY. A PENDING or
        HISTORY version is only kept; content that is pending already is not kept twice: as HISTORY it
        counts as rejected, as ACTIVE as accepted. ``moves`` must agree with it: an active record
        belongs to one person, a deleted one to none.

        What nobody else did first is checked too: origins, retired and revived persons, an event undone
        before, a task decided before, an assertion lifted before – else ``ConcurrentChange``. ``Conflict``
        means that the change itself is wrong: it names what does not exist, leaves a person without a
        record or a retired one with some, or leaves two records asserted not-same in one person.
        """
        ...

    def group(self) -> AbstractAsyncContextManager[None]:
        """Commits inside become durable together when the block ends; reads inside see them at once.

        Nobody outside the block sees them before. A commit refused inside leaves the others; an exception that
        leaves the block, or ``StoreUnavailable`` at its end, means that none of them is stored.
        """
        ...


class IdentityHistory(Protocol):
    """What happened and what waits. Same durability and atomicity as :class:`IdentityStore`."""

    async def events(
        self, after: int = 0, limit: int = 1000, mpi_id: str | None = None
    ) -> tuple[Event, ...]:
        """Events with ``seq > after`` in order; with ``mpi_id`` only those that touched that person."""
        ...

    async def record_events(self, key: RecordKey) -> tuple[Event, ...]:
        """Every event that touched the record, oldest first."""
        ...

    async def event(self, event_id: str) -> Event | None: ...

    async def later_events(self, event: Event) -> tuple[Event, ...]:
        """Events after ``event`` that touch one of its records or persons."""
        ...

    async def tasks(
        self,
        status: TaskStatus | None,
        after: str | None = None,
        limit: int = 100,
        mpi_id: str | None = None,
        due: datetime | None = None,
    ) -> tuple[Task, ...]:
        """Tasks in the order they were opened, after task ``after``; ``status`` None = all.

        With ``mpi_id`` only those about one of its records, or that name it as a candidate; with ``due``
        none that is deferred beyond that time.
        """
        ...

    async def task(self, task_id: str) -> Task | None: ...

    async def position(self) -> int:
        """``seq`` of the last event (0 when empty). Cheap: called on every cached read.

        Every event up to it can be read. It knows each commit of this process at once, of others within a second.
        """
        ...

    async def statistics(self) -> dict[str, int]:
        """Counts: records, persons, retired, tasks_open, assertions, events."""
        ...

    def crosswalk(self) -> AsyncIterator[tuple[RecordKey, str]]:
        """Every active record with its person, ordered by source and source id."""
        ...


class Outbox(Protocol):
    """What is still to be said elsewhere. A process that dies loses nothing; inside a group all of this is part of it.

    Errands that follow from a change are queued by its commit (:attr:`mpi.domain.identity.IdentityChange.errands`).
    """

    async def queue(self, errands: Sequence[Errand]) -> int:
        """Queue errands; returns how many are new. One that waits already is not queued twice.

        It keeps its mark, gets the more urgent lane and the earlier time of the two; while somebody runs it, it is
        run once more after that.
        """
        ...

    async def due(
        self, lease: timedelta, limit: int = 1, lane: Lane = Lane.BATCH
    ) -> tuple[LeasedErrand, ...]:
        """Lease errands that are due to this caller alone: of this lane and the more urgent ones, those first.

        After the lease they are anybody's again, unless they are done or put off.
        """
        ...

    async def done(self, leased: LeasedErrand) -> None:
        """Forget the errand, unless it was queued again meanwhile. Changes nothing when the lease is another's."""
        ...

    async def later(
        self,
        leased: LeasedErrand,
        due_at: datetime,
        reason: str | None = None,
        mark: str | None = None,
    ) -> None:
        """Put the errand off: it has failed for a ``reason``, or goes on from its ``mark``, which begins a new count.

        Changes nothing when the lease is another's.
        """
        ...

    async def waiting(self) -> tuple[Waiting, ...]:
        """What waits, by kind."""
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key without its secret, of which stores keep a digest only."""

    key_id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None


class KeyStore(Protocol):
    async def add_key(
        self, key_id: str, name: str, digest: bytes, scopes: frozenset[str]
    ) -> None: ...

    async def find_key(self, digest: bytes) -> ApiKey | None: ...

    async def list_keys(self) -> tuple[ApiKey, ...]: ...

    async def revoke_key(self, key_id: str) -> bool: ...


class Monitored(Protocol):
    """What readiness asks of a store. Cheap, never waits long, changes nothing."""

    async def check_reachable(self) -> None:
        """Raises ``StoreUnavailable`` unless the store answers and is the one that was opened."""
        ...

    async def check_schema(self) -> None:
        """Raises ``SchemaMismatch`` when another version of the service has changed the store's form."""
        ...

    async def check_key(self, fingerprint: bytes) -> None:
        """Raises ``KeyMismatch`` unless the store was made with the HMAC key of this fingerprint."""
        ...


class IndexStore(IdentityStore, IdentityHistory, Protocol):
    """What the service needs of one store: who is who, and what happened."""


class Store(IndexStore, Outbox, KeyStore, Monitored, Protocol):
    """One database with everything in it."""

    async def is_demo(self) -> bool:
        """Whether the database holds made-up patients."""
        ...

    async def mark_demo(self) -> None:
        """Mark the database, for ever, as one of made-up patients."""
        ...


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whose a record is, and everything that the decision rests on.

    ``persons`` are those it was compared with, as they were compared. ``position`` is the last event seen.
    Growth of the index alone changes nothing noticeable up to event ``valid_until``. Any other event matters only
    if it touches one of the ``persons``, or a record under one of the ``blocking_keys``. ``told`` is what an outside
    provider said, if one decided.
    """

    decision: Decision
    persons: tuple[Candidate, ...]
    blocking_keys: tuple[int, ...]
    position: int
    index_size: int
    valid_until: int
    told: Told | None = None


class Provider(Protocol):
    """Who resolves identity. It reads and decides; what follows from a decision is committed by the service."""

    @property
    def name(self) -> str:
        """As ``MPI_PROVIDER`` names it."""
        ...

    @property
    def version(self) -> str:
        """Names what the decision rests on: equal input, index and version give an equal decision."""
        ...

    async def introduce(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord | MpiError]:
        """The records as they are to be enrolled, after telling whoever keeps an index elsewhere of them.

        Several are a batch, which lets people go first. One that is refused comes back as its error. Safe to repeat.
        Raises ``ProviderUnavailable`` when one got no answer: none may be enrolled then.
        """
        ...

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        """Whose record is this? Changes nothing. Raises ``ProviderUnavailable``.

        ``home`` is the person that holds an earlier version of it, no evidence for the new one. With other
        records in it, the question is whether the record may stay (LINK) or not (REVIEW); alone in it, the
        record is compared with everybody else.
        """
        ...

    def explain(self, record: StoredRecord, found: Resolution) -> Explanation | None:
        """The rows behind the best candidate's weight; None when nobody came into question."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class KeptAnswer(Guarded):
    """An answer to a query, without what belongs to one request only (id, timing, who served it).

    ``body`` is its JSON object. It was computed from an index in which event ``position`` had happened, and that event
    bore the ``mark``: a position alone does not tell an index from one that was restored and grew again. It rests on
    what bears the ``tags``, keyed digests of persons and blocking keys, and holds until an event after ``position``
    touches one of them, at most up to event ``valid_until`` and the time ``expires`` (seconds since 1970).

    So it brings with it all that has to be known to tell whether it still holds, wherever it was kept.
    """

    body: bytes
    status: str
    tags: tuple[int, ...]
    position: int
    mark: int
    valid_until: int
    expires: float


class AnswerCache(Protocol):
    """One tier of the cache: a place that may lose any answer at any time.

    It does not know whether an answer still holds; whoever gets one has to find out. Raises ``CacheUnavailable``, or
    ``ConfigurationError`` when it is never going to work as it is configured.
    """

    @property
    def tier(self) -> str:
        """As ``MPI_CACHE`` names it."""
        ...

    async def get(self, key: bytes) -> KeptAnswer | None:
        """What was put under the key, exactly as it was put, unless it has expired."""
        ...

    async def put(self, key: bytes, answer: KeptAnswer) -> None:
        """Keep an answer instead of the one before, at most until it expires."""
        ...


class RemoteCache(AnswerCache, Protocol):
    """A tier on a server, which several processes share."""

    async def check(self) -> None:
        """Ask the server for nothing but a sign of life. Raises as the others do, with the remedy."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class Turn(Protocol):
    """The right to compute one answer while others wait for it. It ends by itself after a while."""

    async def end(self) -> None:
        """Let others go on."""
        ...


class SharedPace(Protocol):
    """How often all processes together may do something. Raises ``CacheUnavailable`` or ``ConfigurationError``."""

    async def take(self, *, urgent: bool) -> tuple[float, float]:
        """Seconds to wait, 0 when it may be done now, which counts; and how often a second it may be done now.

        While somebody ``urgent`` waits, whoever is not waits longer.
        """
        ...

    async def slow_down(self, pause: float) -> None:
        """Halve the rate, which recovers slowly, and let nothing be done for ``pause`` seconds."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class CoordinatingCache(RemoteCache, Protocol):
    """A tier that also lets one of several processes compute an answer that all of them want."""

    async def take(self, key: bytes) -> Turn | None:
        """The turn to compute the answer, or None when somebody else has it."""
        ...


class SharedAnswers(Protocol):
    """The remote tiers together. Whatever happens to them, no method raises or waits for long."""

    async def find(
        self, key: bytes, holds: Callable[[KeptAnswer], bool]
    ) -> tuple[str, KeptAnswer] | None:
        """The first tier, in their order, whose answer holds, and that answer."""
        ...

    async def keep(self, key: bytes, answer: KeptAnswer) -> None:
        """Put the answer into every tier that can take it."""
        ...

    async def take_turn(self, key: bytes) -> Turn | None:
        """The right to compute the answer; None when another process has it."""
        ...
