"""Our own matching over our own index: look up by blocking keys, compare, weigh, decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpi.domain.identity import Candidate, Neighbour, Neighbourhood, PersonState, StoredRecord
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import (
    Decision,
    Explanation,
    Outcome,
    decide,
    explain_person,
    fits,
)
from mpi.matching.model import Model
from mpi.ports import IdentityStore, Judged, Likely, ModelInUse, Resolution

_GROWTH = 0.1
"""A growth of the index by this part changes weights by 0.14 bits at most: not noticeable but near a threshold."""


class InternalProvider:
    """Decides by the model over the candidates of the store. ``narrowed`` is told with every look-up of candidates how
    many blocks were too large for it, ``judged`` of every decision."""

    name = "internal"

    def __init__(
        self,
        store: IdentityStore,
        model: ModelInUse,
        narrowed: Callable[[int], None],
        judged: Callable[[Judged], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._model = model
        self._narrowed = narrowed
        self._judged = judged

    @property
    def version(self) -> str:
        """The version of the model document."""
        return self._model().version

    async def introduce(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """See :class:`mpi.ports.Provider`. Nobody else keeps an index."""
        return records

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        """See :class:`mpi.ports.Provider`."""
        around = await self._store.candidates(keys)
        self._narrowed(around.narrowed)
        model = self._model()
        company = () if home is None else home.company_of(record.key)
        if home is not None and company:
            persons: tuple[Candidate, ...] = (Neighbour(home.mpi_id, company),)
            decision = self._staying(record, persons[0], around, model)
        else:
            persons = around.persons
            if home is not None:
                persons = tuple(p for p in persons if p.mpi_id != home.mpi_id)
            decision = decide(
                record.standard,
                record.key,
                persons,
                around.assertions,
                model,
                around.index_size,
            )
            self._judged(Judged(record, persons, around.assertions, around.index_size, decision))
        return Resolution(
            decision=decision,
            persons=persons,
            blocking_keys=_asked(keys, around),
            position=around.position,
            index_size=around.index_size,
            valid_until=around.position + _room(around.index_size, decision, model),
            model=model,
        )

    async def query(self, record: StoredRecord, keys: BlockingKeys) -> Resolution:
        """See :class:`mpi.ports.Provider`."""
        return await self.resolve(record, keys)

    async def search(
        self, record: StoredRecord, keys: BlockingKeys, limit: int
    ) -> tuple[Likely, ...]:
        """See :class:`mpi.ports.Provider`."""
        return likely((await self.query(record, keys)).decision, limit)

    def _staying(
        self, record: StoredRecord, others: Candidate, around: Neighbourhood, model: Model
    ) -> Decision:
        """An update never silently leaves a person with other records; what no longer fits is a question."""
        scored = fits(
            record.standard, record.key, others, around.assertions, model, around.index_size
        )
        fitting = scored.question >= model.thresholds.review and not scored.vetoes
        outcome = Outcome.LINK if fitting or scored.same_assertion else Outcome.REVIEW
        return Decision(outcome, scored.mpi_id, scored, ())

    def explain(self, record: StoredRecord, found: Resolution) -> Explanation | None:
        """See :class:`mpi.ports.Provider`."""
        best = found.decision.best
        if best is None or found.model is None:
            return None
        person = next(p for p in found.persons if p.mpi_id == best.mpi_id)
        return explain_person(record.standard, person, found.model, found.index_size)


def likely(decision: Decision, limit: int) -> tuple[Likely, ...]:
    """The first candidates of a decision."""
    return tuple(
        Likely(each.mpi_id, each.grade, each.weight, each.confidence, each.vetoes)
        for each in decision.candidates[:limit]
    )


def _room(index_size: int, decision: Decision, model: Model) -> int:
    """How many records may come before weights have changed noticeably, or enough to cross a threshold.

    As an index of n records grows to m, the prior falls by log2(m / n), and the odds of relatives and of namesakes from
    elsewhere fall with it: no weight changes by more.
    """
    limits = (model.thresholds.link, model.thresholds.review)
    weights = (weight for s in decision.candidates for weight in (s.weight, s.question))
    nearest = min((abs(weight - limit) for weight in weights for limit in limits), default=1.0)
    counted = max(index_size, model.smallest_index)
    # Beyond a bit all distances are alike, and the power of a very large one is no number any more.
    return counted + int(counted * min(_GROWTH, 2 ** min(nearest, 1.0) - 1)) - index_size


def _asked(keys: BlockingKeys, around: Neighbourhood) -> tuple[int, ...]:
    """The keys whose blocks were read, or measured and found too large."""
    wide = tuple(key for key, _ in keys)
    if not around.narrowed:
        return wide
    return tuple({*wide, *(narrow for _, narrower in keys for narrow in narrower)})
