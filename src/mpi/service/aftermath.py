"""Questions that an undo leaves behind: where do the records belong that came in between?"""

from __future__ import annotations

from collections.abc import Sequence

from mpi.domain.identity import NEW_PERSON, Event, NewTask, PersonState, StoredRecord, TaskKind
from mpi.matching.decision import fits
from mpi.matching.model import Model
from mpi.ports import IndexStore
from mpi.service.way_back import WayBack, arrivals


async def questions(
    store: IndexStore, model: Model, event: Event, back: WayBack
) -> tuple[NewTask, ...]:
    """A task for each record that joined since, unless it plainly belongs where it stays."""
    if not back.moves:
        return ()
    joined = arrivals(event, await store.later_events(event)) - back.keys
    returned = [
        await _returned(store, home, back)
        for home in dict.fromkeys(m.target for m in back.moves if m.target is not None)
    ]
    found = []
    for mpi_id in back.left:
        for record in back.staying(mpi_id):
            if record.key in joined:
                company = [r for r in back.staying(mpi_id) if r.key != record.key]
                stay = PersonState(mpi_id, 0, active=True, records=tuple(company))
                found += await _question(store, model, record, stay, returned)
    return tuple(found)


async def _returned(store: IndexStore, home: str, back: WayBack) -> PersonState:
    """A person as it will be when its records are back."""
    person = None if home == NEW_PERSON else await store.person(home)
    keys = {m.key for m in back.moves if m.target == home}
    coming = [r for left in back.left.values() for r in left.records if r.key in keys]
    residents = person.records if person else ()
    return PersonState(home, 0, active=True, records=(*residents, *coming))


async def _question(
    store: IndexStore,
    model: Model,
    record: StoredRecord,
    stay: PersonState,
    returned: Sequence[PersonState],
) -> list[NewTask]:
    assertions = await store.assertions([record.key])
    size = (await store.statistics())["records"]

    def suits(person: PersonState) -> bool:
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
