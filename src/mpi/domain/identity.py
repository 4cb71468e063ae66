"""Identity as values: persons, links, decisions, and the one value that changes them.

Everything that alters who is who is an :class:`IdentityChange`; a store applies it whole or not at all.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from mpi.domain.errand import Errand
from mpi.domain.record import Demographics, Guarded, RecordKey, RecordStatus


class EventKind(StrEnum):
    CREATED = "created"  # a record came and a person was minted for it
    LINKED = "linked"  # a record came and joined a person
    UPDATED = "updated"  # a new version of a known record
    DELETED = "deleted"
    REVIVED = "revived"  # a deleted record registered again
    MERGED = "merged"
    MOVED = "moved"
    ASSERTED = "asserted"
    LIFTED = "lifted"  # an assertion withdrawn
    UNDONE = "undone"
    TASK_OPENED = "task_opened"  # by itself; most are opened by what raises the question
    TASK_CLAIMED = "task_claimed"
    TASK_DEFERRED = "task_deferred"
    TASK_REASSIGNED = "task_reassigned"
    TASK_DECIDED = "task_decided"


DECISIONS = frozenset(
    {
        EventKind.MERGED,
        EventKind.MOVED,
        EventKind.ASSERTED,
        EventKind.LIFTED,
        EventKind.UNDONE,
        EventKind.TASK_DECIDED,
    }
)
"""Kinds of which a person decides; a merge may also be the model's (see :attr:`Event.is_human`)."""

AUTOMATIC = "automatic"
"""The detail of a merge that nobody decided: one new registration was certain for both persons."""

KEPT_AS = "kept_as"
"""The detail of an event whose version of the record did not become the current one: its status."""


TOLD = "told"
"""The detail of an event that rests on what an outside provider said: its members are those of :class:`Told`."""


REFUSED = "rejected"
"""The outcome of a call that was understood and is not done."""


class AssertionKind(StrEnum):
    SAME = "same"
    NOT_SAME = "not-same"


class TaskKind(StrEnum):
    REVIEW = "review"  # is this record that person?
    MERGE = "merge"  # are these two persons one?
    OVERLAY = "overlay"  # is this new version still the same patient?
    UPDATE = "update"  # the new version no longer fits its person
    UNDO = "undo"  # where does a record belong after an undo?
    PROVIDER = (
        "provider"  # the provider does not do what was decided here: decide anew, or leave it so
    )


class TaskStatus(StrEnum):
    OPEN = "open"
    CLAIMED = "claimed"
    DECIDED = "decided"


ANY_VERSION = 0
"""Stands for whatever version there is, where a client only insists that there is one."""

NEW_PERSON = "new"
"""Stands for a person the store mints while applying a change; at most one per change."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an outside provider takes another record for the same person."""

    record: RecordKey
    same: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What an outside provider said of a record: whom it links it to there, and by which names to ask about the call.

    ``outcome`` is our word for how the call ended, ``answered`` whether that is an answer; ``score`` the provider's
    own, from 0 to 1, where it gives one. ``overlaid``: it takes the record for another patient than the version
    before. ``verdicts`` are about the records that were in question and are known there. ``asked``: whether it was
    asked at all, or is left alone for a while; ``instead_of`` the version that was current when it was told (0: none);
    events do not keep these.
    """

    provider: str
    outcome: str
    link_id: str | None = None
    score: float | None = None
    tracking_id: str | None = None
    audit_id: str | None = None
    overlaid: bool = False
    answered: bool = True
    asked: bool = True
    verdicts: tuple[Verdict, ...] = ()
    instead_of: int = 0

    @property
    def accepted(self) -> bool:
        """Whether it holds the version by now that it was told of."""
        return self.answered and not self.overlaid and self.outcome != REFUSED


@dataclass(frozen=True, slots=True, repr=False)
class StoredRecord(Guarded):
    """One version of a source record as stored.

    ``standard`` is the comparison form (:class:`mpi.matching.standardize.StandardRecord`), stored so that nothing
    is standardised twice. ``digest`` is a keyed digest of the raw demographics; equal digest = equal content.
    ``told`` is what an outside provider said on the way in: kept with the event, not with the version. ``along`` are
    stored records that it was told of on this occasion, with what it said.
    """

    key: RecordKey
    version: int
    status: RecordStatus
    demographics: Demographics
    standard: Any
    blocking_keys: tuple[int, ...]
    digest: bytes
    received_at: datetime
    recorded_at: datetime | None = None
    mpi_id: str | None = None
    warnings: tuple[tuple[str, str], ...] = ()
    told: Told | None = None
    along: tuple[StoredRecord, ...] = ()


class Evidence(Protocol):
    """What a comparison needs of a record: whose it is, and its comparison form."""

    @property
    def key(self) -> RecordKey: ...

    @property
    def standard(self) -> Any: ...


class Candidate(Protocol):
    """What a decision needs of a person."""

    @property
    def mpi_id(self) -> str: ...

    @property
    def records(self) -> tuple[Evidence, ...]: ...


@dataclass(frozen=True, slots=True, repr=False)
class Member(Guarded):
    """An active record as evidence and nothing more: a query reads dozens of them and the raw values of none."""

    key: RecordKey
    standard: Any


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A person as evidence: with all its active records."""

    mpi_id: str
    records: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class PersonState:
    """A person as it stands. ``version`` rises with every change that touches it (the ETag)."""

    mpi_id: str
    version: int
    active: bool
    merged_into: str | None = None
    records: tuple[StoredRecord, ...] = ()

    def company_of(self, key: RecordKey) -> tuple[StoredRecord, ...]:
        """The records of the person but this one."""
        return tuple(record for record in self.records if record.key != key)


@dataclass(frozen=True, slots=True)
class Assertion:
    kind: AssertionKind
    left: RecordKey
    right: RecordKey
    actor: str
    reason: str = field(repr=False)  # free text, which may name a patient
    at: datetime
    event_id: str | None = field(default=None, compare=False)  # what made it; the store tells

    @property
    def pair(self) -> frozenset[RecordKey]:
        """The two records, in no order."""
        return frozenset((self.left, self.right))

    def other(self, key: RecordKey) -> RecordKey | None:
        """Of whom it says something beside this record; None where it says nothing of it."""
        if self.left == key:
            return self.right
        return self.left if self.right == key else None

    def joins(self, ours: Set[RecordKey], theirs: Set[RecordKey]) -> bool:
        """Whether it is about a record of either side."""
        return (self.left in ours and self.right in theirs) or (
            self.left in theirs and self.right in ours
        )


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What the store knows around some blocking keys, read at one moment.

    ``persons`` holds every person that owns an active record under one of the keys, with *all* its active records.
    ``assertions`` concern any of those records. ``position`` is the last event seen: a commit that finds a later
    event touching these keys or persons fails with ``ConcurrentChange``. ``narrowed`` counts keys whose block was
    too large and had to be narrowed by a further trait.
    """

    persons: tuple[Neighbour, ...]
    assertions: tuple[Assertion, ...]
    position: int
    index_size: int
    narrowed: int = 0


@dataclass(frozen=True, slots=True)
class RecordMove:
    """One record changing hands. ``None`` = outside any person (before its birth, after deletion)."""

    key: RecordKey
    origin: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class NewTask:
    kind: TaskKind
    record: RecordKey
    candidates: tuple[str, ...]
    weight: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Task:
    task_id: str
    version: int
    kind: TaskKind
    status: TaskStatus
    record: RecordKey
    candidates: tuple[str, ...]
    weight: float | None
    reason: str
    opened_at: datetime
    assignee: str | None = None
    outcome: str | None = None
    decided_at: datetime | None = None
    deferred_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """What becomes of a task. An update without ``deferred_until`` ends a deferral."""

    task_id: str
    status: TaskStatus
    assignee: str | None = None
    outcome: str | None = None
    deferred_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """A change of identity, applied by ``store.commit`` all or nothing.

    ``moves`` say which record goes where; ``NEW_PERSON`` as a target mints one person. ``retire`` maps a person
    to the one that survives it (alias), or to None (last record gone). ``revive`` makes retired persons active again
    (undo, re-registration). ``expected_versions`` maps mpi_id or task_id to the version the decision was based on.
    ``position`` + ``guard_keys`` guard the neighbourhood (see :class:`Neighbourhood`); None = no guard.
    ``errands`` are what has to be said elsewhere because of it: queued if the change is applied, and only then.
    """

    kind: EventKind
    at: datetime
    actor: str
    reason: str | None = field(default=None, repr=False)  # free text, which may name a patient
    record: StoredRecord | None = None
    moves: tuple[RecordMove, ...] = ()
    retire: tuple[tuple[str, str | None], ...] = ()
    revive: tuple[str, ...] = ()
    tasks: tuple[NewTask, ...] = ()
    task_updates: tuple[TaskUpdate, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    lift: tuple[Assertion, ...] = ()
    undoes: str | None = None
    expected_versions: tuple[tuple[str, int], ...] = ()
    position: int | None = None
    guard_keys: tuple[int, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict, repr=False)
    errands: tuple[Errand, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the append-only history. ``seq`` orders events; ``event_id`` names one for clients."""

    seq: int
    event_id: str
    kind: EventKind
    at: datetime
    actor: str
    reason: str | None = field(repr=False)
    moves: tuple[RecordMove, ...]
    retired: tuple[tuple[str, str | None], ...]
    revived: tuple[str, ...]
    persons: tuple[str, ...]
    asserted: tuple[Assertion, ...] = ()
    lifted: tuple[Assertion, ...] = ()
    record: RecordKey | None = None
    record_version: int | None = None
    undoes: str | None = None
    undone_by: str | None = None
    detail: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_human(self) -> bool:
        """Whether a person decided this about identity."""
        return self.kind in DECISIONS and not self.detail.get(AUTOMATIC)


@dataclass(frozen=True, slots=True)
class Touched:
    """What an event touched: persons, and at least the keys under which a record that it registered, changed or deleted
    lay before it and lies after it. ``at`` tells two histories apart."""

    seq: int
    at: datetime
    persons: tuple[str, ...]
    keys: frozenset[int]


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit made: the event, the minted or touched person, the tasks in the order they were asked for."""

    event: Event
    mpi_id: str | None
    task_ids: tuple[str, ...] = ()
