"""Who resolves identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mpi.domain.identity import (
    Assertion,
    Candidate,
    PersonState,
    StoredRecord,
    Told,
)
from mpi.errors import MpiError
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Decision, Explanation, Grade
from mpi.matching.model import Model


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whose a record is, and everything that the decision rests on.

    ``persons`` are those it was compared with, as they were compared. ``position`` is the last event seen.
    Growth of the index alone changes nothing noticeable up to event ``valid_until``. Any other event matters only
    if it touches one of the ``persons``, or a record under one of the ``blocking_keys``. ``told`` is what an outside
    provider said, if its word decided, ``model`` our own, if that had a say. ``provisional``: a provider should have
    been asked and gave no answer; ``owed``: it is still to be told of the record.
    """

    decision: Decision
    persons: tuple[Candidate, ...]
    blocking_keys: tuple[int, ...]
    position: int
    index_size: int
    valid_until: int
    told: Told | None = None
    model: Model | None = None
    provisional: bool = False
    owed: bool = False


@dataclass(frozen=True, slots=True)
class Likely:
    """A person that a patient may be: by our own weight and probability, or by the ``score`` of one who searches."""

    mpi_id: str
    grade: Grade
    weight: float | None = None
    confidence: float | None = None
    vetoes: tuple[str, ...] = ()
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision by our own model, with all that it rests on."""

    record: StoredRecord
    persons: tuple[Candidate, ...]
    assertions: tuple[Assertion, ...]
    index_size: int
    decision: Decision


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
        """Whose record is this, which is about to be enrolled? Changes nothing. Raises ``ProviderUnavailable``.

        ``home`` is the person that holds an earlier version of it, no evidence for the new one. With other
        records in it, the question is whether the record may stay (LINK) or not (REVIEW); alone in it, the
        record is compared with everybody else.
        """
        ...

    async def query(self, record: StoredRecord, keys: BlockingKeys) -> Resolution:
        """Whose record would this be? Whoever keeps an index elsewhere may be asked, and is told of nobody.

        Raises ``ProviderUnavailable``.
        """
        ...

    async def search(
        self, record: StoredRecord, keys: BlockingKeys, limit: int
    ) -> tuple[Likely, ...]:
        """Whose record may this be? Registered persons, the likeliest first, ``limit`` at most.

        Nobody is told of anybody. Raises ``ProviderUnavailable``.
        """
        ...

    def explain(self, record: StoredRecord, found: Resolution) -> Explanation | None:
        """The rows behind the best candidate's weight; None when nobody came into question."""
        ...


class AskedLater(Protocol):
    """A provider over an index elsewhere, which may be away when a record is enrolled and is asked later then."""

    async def tell(self, record: StoredRecord, home: PersonState | None) -> StoredRecord:
        """Tell it of a record of that person after all. The record comes back with what was said, be it nothing."""
        ...

    async def locate(self, record: StoredRecord, home: PersonState | None) -> StoredRecord:
        """As :meth:`tell`, but it is only asked where it has the record by now."""
        ...

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        """As :meth:`Provider.resolve`, by what was said."""
        ...
