"""Which pairs of an index teach a model most: those it is in doubt about, and on both sides of the doubt."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from mpi.domain.identity import NewTask, TaskKind, TaskStatus
from mpi.domain.record import RecordKey
from mpi.evaluation.rehearsal import Scene, scenes
from mpi.evaluation.trial import Step
from mpi.matching.decision import NOT_SAME, ScoredPerson
from mpi.matching.model import Model
from mpi.ports import IndexStore

TEACHES = "teaches"
"""The reason of a task that was opened to learn from the answer."""

_REACH = 8
"""Bits around even odds. Beyond, nearly all answers are known; within, every bit is asked about equally often, as most
pairs of people in doubt are of one person and a model learns nothing from those alone."""

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Doubt:
    """A record, the person that holds it, and the other one that it may be."""

    key: RecordKey
    home: str
    other: ScoredPerson

    def task(self) -> NewTask:
        """The question to a steward."""
        named = (self.other.mpi_id,)
        return NewTask(TaskKind.REVIEW, self.key, named, self.other.weight, TEACHES)


async def questions(
    store: IndexStore, model: Model, count: int, most: int, seed: int, step: Step
) -> list[NewTask]:
    """At most ``count`` tasks: is this record that other person? ``most`` records are looked at.

    No person is asked about twice, nothing that a human has answered, nothing that waits for an answer already.
    """
    by_weight: dict[int, list[Doubt]] = defaultdict(list)
    async for scene in scenes(store, most, seed, step):
        other = _other(scene, model)
        if other is not None and abs(other.weight) < _REACH:
            by_weight[math.floor(other.weight)].append(Doubt(scene.record.key, scene.home, other))
    chance = random.Random(seed)  # noqa: S311 - no secret
    chosen: list[Doubt] = []
    known = {name for task in await _waiting(store) for name in task}
    for doubt in _in_turn(list(by_weight.values()), chance):
        persons = {doubt.home, doubt.other.mpi_id}
        if len(chosen) < count and not persons & known:
            chosen.append(doubt)
            known |= persons
    return [doubt.task() for doubt in chosen]


async def _waiting(store: IndexStore) -> list[set[str]]:
    """The persons that each undecided task names."""
    found: list[set[str]] = []
    for status in (TaskStatus.OPEN, TaskStatus.CLAIMED):
        after = None
        while tasks := await store.tasks(status, after, _PAGE):
            for task in tasks:
                record = await store.record(task.record)
                home = record.mpi_id if record is not None else None
                found.append({*task.candidates, home or ""})
            after = tasks[-1].task_id
    return found


def _in_turn(heaps: list[list[Doubt]], chance: random.Random) -> Iterator[Doubt]:
    """From each heap one, again and again."""
    for heap in heaps:
        chance.shuffle(heap)
    for row in zip_longest(*heaps):
        yield from (doubt for doubt in row if doubt is not None)


def _other(scene: Scene, model: Model) -> ScoredPerson | None:
    """The best person that the record is not in, unless a human has spoken."""
    others = [each for each in scene.decision(model).candidates if each.mpi_id != scene.home]
    best = max(others, key=lambda each: each.weight, default=None)
    if best is None or best.same_assertion or NOT_SAME in best.vetoes:
        return None
    return best
