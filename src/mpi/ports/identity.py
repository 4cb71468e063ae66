"""What is known of who is who, and what happened to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from mpi.domain.identity import (
    Assertion,
    Committed,
    Event,
    IdentityChange,
    Neighbourhood,
    PersonState,
    StoredRecord,
    Task,
    TaskStatus,
    Touched,
)
from mpi.domain.record import RecordKey
from mpi.matching.blocking import BlockingKeys


class IdentityStore(Protocol):
    """Who is who. Every method may raise ``StoreUnavailable``; no answer is ever half of a change."""

    async def candidates(self, blocking_keys: BlockingKeys) -> Neighbourhood:
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
    """What happened. Same durability and atomicity as :class:`IdentityStore`."""

    async def events(
        self, after: int = 0, limit: int = 1000, mpi_id: str | None = None
    ) -> tuple[Event, ...]:
        """Events with ``seq > after`` in order; with ``mpi_id`` only those that touched that person."""
        ...

    async def record_events(self, key: RecordKey) -> tuple[Event, ...]:
        """Every event that touched the record, oldest first."""
        ...

    async def event(self, event_id: str) -> Event | None:
        """One event; None if there never was one of this id."""
        ...

    async def later_events(self, event: Event) -> tuple[Event, ...]:
        """Events after ``event`` that touch one of its records or persons."""
        ...

    async def position(self) -> int:
        """``seq`` of the last event (0 when empty). Cheap: called on every cached read.

        Every event up to it can be read. It knows each commit of this process at once, of others within a second.
        """
        ...

    async def touched(self, first: int, last: int) -> tuple[Touched, ...]:
        """What the events from ``first`` to ``last`` touched, in order; rather too many keys than too few.

        Every process asks after every commit, so it is cheap where the store was told it with the position.
        """
        ...

    async def statistics(self) -> dict[str, int]:
        """Counts: records, persons, retired, tasks_open, assertions, events."""
        ...

    def crosswalk(self) -> AsyncGenerator[tuple[RecordKey, str], None]:
        """Every active record with its person, ordered by source and source id. Who stops early closes it."""
        ...


class TaskQueue(Protocol):
    """What waits for a steward. Tasks are opened and settled by :meth:`IdentityStore.commit`."""

    async def tasks(
        self,
        status: TaskStatus | None,
        after: str | None = None,
        limit: int = 100,
        due: datetime | None = None,
    ) -> tuple[Task, ...]:
        """Tasks in the order they were opened, after task ``after``; ``status`` None = all.

        With ``due`` none that is deferred beyond that time.
        """
        ...

    async def undecided(self, mpi_id: str) -> tuple[Task, ...]:
        """All tasks without a decision about a record of the person, or that name it as a candidate; oldest first."""
        ...

    async def task(self, task_id: str) -> Task | None:
        """One task in whatever state; None if there never was one of this id."""
        ...


class IndexStore(IdentityStore, IdentityHistory, TaskQueue, Protocol):
    """What the service needs of one store: who is who, what happened, and what waits."""
