"""What undos leave behind: where do the records belong that came in between, and who is kept apart?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from mpi.domain.identity import (
    NEW_PERSON,
    Assertion,
    AssertionKind,
    Event,
    EventKind,
    Neighbour,
    NewTask,
    StoredRecord,
    TaskKind,
)
from mpi.domain.record import RecordKey
from mpi.matching.decision import fits
from mpi.matching.model import Model
from mpi.ports import IndexStore
from mpi.service.decisions import not_same
from mpi.service.undo_plan import WayBack, arrivals

JOINS = frozenset({EventKind.LINKED, EventKind.REVIVED, EventKind.MERGED})
"""What brings records together that are kept apart when it is undone."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event that is taken back, and the records that ``joined`` since and stay."""

    event: Event
    back: WayBack
    joined: tuple[RecordKey, ...]


async def step_of(store: IndexStore, event: Event, back: WayBack) -> Step:
    """The step, before it is done."""
    if not back.moves:
        return Step(event, back, ())
    joined = arrivals(event, await store.later_events(event))
    staying = [record.key for mpi_id in back.left for record in back.staying(mpi_id)]
    return Step(event, back, tuple(key for key in staying if key in joined))


async def questions(store: IndexStore, model: Model, steps: Sequence[Step]) -> tuple[NewTask, ...]:
    """A task for each record that joined since, unless it plainly belongs where it stays.

    All steps but the last are done. It is asked about the persons as they will be after that: those who return in one
    step may be parted in the next.
    """
    last = steps[-1].back
    found = []
    for key in _staying(steps):
        went = [m.key for step in steps if key in step.joined for m in step.back.moves]
        places = await _places(store, [key, *went], last)
        home = places.pop(key)
        others = [name for name in dict.fromkeys(places.values()) if name not in (None, home)]
        record = await store.record(key)
        if record is not None and home is not None and others:
            returned = [await _after(store, name or "", last) for name in others]
            stay = await _after(store, home, last, without=key)
            found += await _question(store, model, record, stay, returned)
    return tuple(found)


async def kept_apart(
    store: IndexStore,
    steps: Sequence[Step],
    in_doubt: Set[RecordKey],
    reason: str,
    actor: str,
    at: datetime,
) -> tuple[Assertion, ...]:
    """Not-same between what an undone link or merge had brought and what stays: nothing rejoins them by itself.

    What is in doubt may still turn out to belong to either side. Whether that holds for what joined after an earlier
    step is known with the last one only, so it is kept apart then, unless the steps brought it together again.
    """
    *earlier, last = steps
    made = _parted(last, _left_by(last) - in_doubt, actor, reason, at)
    late: list[Assertion] = []
    for step in earlier:
        late += _parted(step, {*step.joined} - in_doubt, actor, reason, at)
    keys = {key for a in late for key in a.pair}
    places = await _places(store, keys, last.back)
    made += [a for a in late if places[a.left] != places[a.right]]
    stored = await store.assertions(sorted({a.left for a in made}))
    same = {a.pair for a in stored if a.kind is AssertionKind.SAME}
    return tuple(a for a in made if a.pair not in same)


def _left_by(step: Step) -> Set[RecordKey]:
    """The records that stay in the persons that others leave."""
    return {record.key for mpi_id in step.back.left for record in step.back.staying(mpi_id)}


def _parted(
    step: Step, among: Set[RecordKey], actor: str, reason: str, at: datetime
) -> list[Assertion]:
    """Every record that goes back is not the same as any of these that stay in its person."""
    if step.event.kind not in JOINS:
        return []
    made: list[Assertion] = []
    for mpi_id in step.back.left:
        going = [m.key for m in step.back.moves if m.origin == mpi_id]
        staying = [r.key for r in step.back.staying(mpi_id) if r.key in among]
        made += not_same(going, staying, actor, reason, at)
    return made


def _staying(steps: Sequence[Step]) -> list[RecordKey]:
    """The records that joined since one of the events and went back with none of them."""
    gone = {key for step in steps for key in step.back.keys}
    joined = dict.fromkeys(key for step in steps for key in step.joined)
    return [key for key in joined if key not in gone]


async def _places(
    store: IndexStore, keys: Iterable[RecordKey], back: WayBack
) -> dict[RecordKey, str | None]:
    """The persons that will hold the records when the last step is done."""
    going = {move.key: move.target for move in back.moves}
    found: dict[RecordKey, str | None] = {}
    for key in keys:
        if key in going:
            found[key] = going[key]
        elif key not in found:
            record = await store.record(key)
            found[key] = None if record is None else record.mpi_id
    return found


async def _after(
    store: IndexStore, mpi_id: str, back: WayBack, without: RecordKey | None = None
) -> Neighbour:
    """A person as it will be when the last step is done."""
    person = None if mpi_id == NEW_PERSON else await store.person(mpi_id)
    keys = {m.key for m in back.moves if m.target == mpi_id}
    coming = [r for left in back.left.values() for r in left.records if r.key in keys]
    staying = [r for r in (person.records if person else ()) if r.key not in back.keys]
    records = tuple(r for r in (*staying, *coming) if r.key != without)
    return Neighbour(mpi_id, records)


async def _question(
    store: IndexStore,
    model: Model,
    record: StoredRecord,
    stay: Neighbour,
    returned: Collection[Neighbour],
) -> list[NewTask]:
    assertions = await store.assertions([record.key])
    size = (await store.statistics())["records"]

    def suits(person: Neighbour) -> bool:
        if not person.records:
            return False
        scored = fits(record.standard, record.key, person, assertions, model, size)
        enough = scored.question >= model.thresholds.review and not scored.vetoes
        return enough or scored.same_assertion

    here, there = suits(stay), any(suits(person) for person in returned)
    if here and not there:
        return []
    why = {(True, True): "fits_both", (False, False): "fits_neither"}
    candidates = (stay.mpi_id, *(person.mpi_id for person in returned))
    reason = why.get((here, there), "fits_what_returned")
    return [NewTask(TaskKind.UNDO, record.key, candidates, None, reason)]
