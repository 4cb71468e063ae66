"""What models would do with the records of an index, each as if it arrived now. Nothing is changed.

A record is taken out of its person and decided anew among everybody else, by the same decision as in service and under
the same human assertions: where it goes tells what a model would merge, split, or ask about.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mpi.domain.identity import Assertion, Candidate, Neighbour, StoredRecord
from mpi.domain.record import RecordKey
from mpi.evaluation.trial import Step
from mpi.matching.blocking import blocking_keys
from mpi.matching.decision import Decision, Outcome, decide
from mpi.matching.model import Model
from mpi.ports import IndexStore

MOST_RECORDS = 10_000
"""Records looked at by default: a minute or less, and shares within half a percent."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A record and the persons it could be: all its neighbours, its own person without it."""

    record: StoredRecord
    persons: tuple[Candidate, ...]
    assertions: tuple[Assertion, ...]
    index_size: int

    @property
    def home(self) -> str:
        """The person that holds the record."""
        return self.record.mpi_id or ""

    @property
    def has_company(self) -> bool:
        """Whether its person has other records."""
        return any(person.mpi_id == self.home for person in self.persons)

    def decision(self, model: Model) -> Decision:
        """What the model makes of the record."""
        return decide(
            self.record.standard,
            self.record.key,
            self.persons,
            self.assertions,
            model,
            self.index_size,
        )


class Fate(StrEnum):
    """What becomes of a record and its person."""

    STAYS = "stays"
    MERGE = "merge"  # it joins another person, or brings two together
    SPLIT = "split"  # it leaves the others, as a new person
    TASK = "task"  # a steward is asked


@dataclass(frozen=True, slots=True)
class Verdict:
    """The fate of a record, and the persons it concerns, in order."""

    fate: Fate
    persons: tuple[str, ...]


def asks(decision: Decision) -> bool:
    """Whether a steward is asked: instead of a link, or beside one about further persons that are as certain."""
    return bool(decision.review)


def verdict(scene: Scene, decision: Decision) -> Verdict:
    """What a decision means for the person that holds the record now."""
    if asks(decision):
        return Verdict(Fate.TASK, tuple(sorted({scene.home, *decision.review})))
    if decision.outcome is Outcome.LINK:
        joined = {decision.mpi_id or "", *decision.merge}
        together = joined - {scene.home}
        if together:
            return Verdict(Fate.MERGE, tuple(sorted({scene.home, *together})))
        return Verdict(Fate.STAYS, (scene.home,))
    return Verdict(Fate.SPLIT if scene.has_company else Fate.STAYS, (scene.home,))


async def scenes(store: IndexStore, most: int, seed: int, step: Step) -> AsyncIterator[Scene]:
    """Records of the index, in order: all, or as many at random as ``most`` says."""
    total = min(most, (await store.statistics())["records"])
    done = 0
    async for key in drawn(store, most, seed):
        scene = await _scene(store, key)
        done += 1
        if scene is not None:
            yield scene
        step("deciding", done, total)


async def drawn(store: IndexStore, most: int, seed: int) -> AsyncIterator[RecordKey]:
    """Active records by source and source id: all, or as many at random as ``most`` says, the same for one seed."""
    size = (await store.statistics())["records"]
    chance = random.Random(seed)  # noqa: S311 - no secret
    chosen = set(chance.sample(range(size), most)) if most < size else None
    number = 0
    async for key, _ in store.crosswalk():
        if chosen is None or number in chosen:
            yield key
        number += 1


async def _scene(store: IndexStore, key: RecordKey) -> Scene | None:
    record = await store.record(key)
    if record is None or record.mpi_id is None:
        return None  # deleted meanwhile
    around = await store.candidates(blocking_keys(record.standard))
    persons = tuple(_without(person, key) for person in around.persons)
    return Scene(
        record, tuple(p for p in persons if p.records), around.assertions, around.index_size
    )


def _without(person: Candidate, key: RecordKey) -> Candidate:
    return Neighbour(person.mpi_id, tuple(r for r in person.records if r.key != key))


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The fates of records under two models: ``pairs`` holds those by the deciding and by the other one."""

    index_size: int
    pairs: Sequence[tuple[Verdict, Verdict]]

    def count(self, fate: Fate) -> tuple[int, int]:
        """Records of that fate, by either model."""
        deciding, other = zip(*self.pairs, strict=True) if self.pairs else ((), ())
        return sum(v.fate is fate for v in deciding), sum(v.fate is fate for v in other)

    def only_other(self, fate: Fate) -> list[tuple[str, ...]]:
        """The persons that only the other model would treat so, each group once."""
        ours = {v.persons for v, _ in self.pairs if v.fate is fate}
        return sorted({v.persons for _, v in self.pairs if v.fate is fate} - ours)

    def only_deciding(self, fate: Fate) -> list[tuple[str, ...]]:
        """The persons that only the deciding model would treat so."""
        return Rehearsal(self.index_size, [(b, a) for a, b in self.pairs]).only_other(fate)


async def rehearse(
    store: IndexStore, deciding: Model, other: Model, most: int, seed: int, step: Step
) -> Rehearsal:
    """Decide records of the index by both models."""
    pairs = []
    size = 0
    async for scene in scenes(store, most, seed, step):
        size = scene.index_size
        pairs.append(
            (verdict(scene, scene.decision(deciding)), verdict(scene, scene.decision(other)))
        )
    return Rehearsal(size, pairs)
