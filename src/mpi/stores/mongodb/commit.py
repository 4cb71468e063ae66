"""Applying changes within a unit of work: worked out over what is loaded, again after each loading."""

from __future__ import annotations

from collections.abc import Sequence

from mpi.domain.identity import Committed, Event, IdentityChange
from mpi.domain.record import RecordStatus
from mpi.errors import ConcurrentChange, Conflict, PreconditionFailed
from mpi.stores.codec import encode_time
from mpi.stores.mongodb.documents import (
    assertion_document,
    event_document,
    keys_of,
    record_document,
    superseded,
    task_document,
    updated_task,
    version_document,
)
from mpi.stores.mongodb.outbox import queueing
from mpi.stores.mongodb.schema import (
    ASSERTION,
    EVENT,
    PERSON,
    RECORD,
    TASK,
    VERSION,
    Document,
)
from mpi.stores.mongodb.tail import Trace
from mpi.stores.mongodb.unit import Unit
from mpi.stores.numbering import event_seq, person_number, task_number
from mpi.stores.plan import Plan, make_plan, named_persons
from mpi.stores.rows import VERSION_BITS, RecordRow


async def apply(unit: Unit, changes: Sequence[IdentityChange]) -> Committed:
    """Add the changes and their events to the unit, or leave it as it was.

    See :meth:`mpi.ports.IdentityStore.commit` for the errors.
    """
    await unit.prefetch(changes)
    await unit.loading(lambda: _check_guards(unit, changes))
    if len(changes) == 1:
        return await _apply(unit, changes[0])
    before = unit.savepoint()
    try:
        return [await _apply(unit, change) for change in changes][-1]
    except BaseException:
        unit.return_to(before)
        raise


async def _apply(unit: Unit, change: IdentityChange) -> Committed:
    plan = await unit.loading(lambda: _work_out(unit, change))
    event = plan.event()
    _change_event(unit, plan, event)
    _change_persons(unit, plan)
    _change_records(unit, plan)
    _change_stewardship(unit, plan, event)
    unit.errands += queueing(change.errands, change.at)
    _change_head(unit, plan)
    return Committed(event=event, mpi_id=plan.subject(), task_ids=tuple(plan.tasks.ids))


def _check_guards(unit: Unit, changes: Sequence[IdentityChange]) -> None:
    """Raise ``PreconditionFailed`` or ``ConcurrentChange`` when one of the changes came too late."""
    for change in changes:
        for name, version in change.expected_versions:
            _check_version(unit, name, version)
        if change.position is not None and change.position < unit.head["position"]:
            _check_untouched(unit, change, change.position)


def _check_version(unit: Unit, name: str, expected: int) -> None:
    task, person = task_number(name), person_number(name)
    known: Document | None = None
    if task is not None:
        known = unit.get(TASK, task)
    elif person is not None:
        known = unit.get(PERSON, person)
    if known is None or known["version"] != expected:
        raise PreconditionFailed(f"{name} is no longer at the expected version")


def _check_untouched(unit: Unit, change: IdentityChange, position: int) -> None:
    persons = {person_number(mpi_id): mpi_id for mpi_id in named_persons(change)}
    known = None if change.record is None else unit.record_document(change.record.key)
    for event in unit.touched_since(position):
        for number in persons.keys() & event.persons:
            raise ConcurrentChange(f"{persons[number]} has changed since it was read")
        if known is not None and known["_id"] in event.records:
            raise ConcurrentChange("the record has changed since it was read")
        if not event.keys.isdisjoint(change.guard_keys):
            raise ConcurrentChange("a record to compare with has changed since it was read")


def _work_out(unit: Unit, change: IdentityChange) -> Plan:
    if change.undoes is not None:
        seq = event_seq(change.undoes)
        if seq is None or not 0 < seq <= unit.head["position"]:
            raise Conflict("the change undoes an event that never happened")
        if unit.undone_by(seq) is not None:
            raise ConcurrentChange(f"{change.undoes} was undone meanwhile")
    return make_plan(change, unit.state(), unit)


def _change_event(unit: Unit, plan: Plan, event: Event) -> None:
    persons = [person.number for person in plan.persons.values()]
    records = [record.number for record in plan.records.values()]
    keys = set() if plan.change.record is None else set(plan.change.record.blocking_keys)
    for key in plan.records:
        before = unit.record_document(key)
        if before is not None:
            keys.update(keys_of(before))
    document = event_document(event, persons, records)
    unit.insert(EVENT, document)
    unit.events[event.seq] = Trace(
        document["at"], frozenset(persons), frozenset(records), frozenset(keys)
    )


def _change_persons(unit: Unit, plan: Plan) -> None:
    for person in plan.persons.values():
        into = None if person.merged_into is None else plan.person(person.merged_into).number
        state = {"active": person.active, "into": into}
        if person.version == 0:
            unit.insert(PERSON, {"_id": person.number, "version": 1, **state, "seq": plan.seq})
            continue
        before = unit.get(PERSON, person.number) or {}
        unit.replace(PERSON, before | {"version": person.version + 1, **state})


def _change_records(unit: Unit, plan: Plan) -> None:
    content = plan.change.record
    for key, record in plan.records.items():
        person = None if record.person is None else plan.person(record.person).number
        before = unit.record_document(key)
        if content is not None and plan.version is not None and key == content.key:
            _change_content(unit, plan, record, before, person)
        elif before is not None and before.get("person") != person:
            # Only content can end an active record or begin one, so there is a person on both sides.
            unit.replace(RECORD, before | {"person": person})


def _change_content(
    unit: Unit, plan: Plan, record: RecordRow, before: Document | None, person: int | None
) -> None:
    """The record gets the version that the change brings, or keeps it beside the current one."""
    content, version = plan.change.record, plan.version
    if content is None or version is None:
        return
    if version.settles is not None:
        number = (record.number << VERSION_BITS) + version.settles
        settled = unit.get(VERSION, number) or {}
        unit.replace(VERSION, settled | {"status": RecordStatus.HISTORY.value})
    if content.status in {RecordStatus.ACTIVE, RecordStatus.DELETED}:
        document = record_document(record.number, content, version.number, person, plan.seq)
        if before is None:
            unit.insert(RECORD, document)
        else:
            unit.insert(VERSION, superseded(before))
            unit.replace(RECORD, document)
        return
    if version.is_new:
        unit.insert(VERSION, version_document(record.number, content, version.number, plan.seq))
    if before is not None and before.get("person") != person:
        unit.replace(RECORD, before | {"person": person})


def _change_stewardship(unit: Unit, plan: Plan, event: Event) -> None:
    at = encode_time(event.at)
    for lifted in plan.asserting.lifted:
        document = dict(unit.get(ASSERTION, lifted.number) or {})
        del document["records"]
        unit.replace(ASSERTION, document | {"lifted": plan.seq})
    for assertion, row in plan.asserting.made:
        unit.head["last_assertion"] += 1
        number = unit.head["last_assertion"]
        unit.insert(ASSERTION, assertion_document(number, assertion, row, plan.seq))
    for opened in plan.tasks.opened:
        unit.insert(TASK, task_document(opened, at, plan.seq))
        unit.head["last_task"] = opened.number
    for number, update in plan.tasks.updated:
        unit.replace(TASK, updated_task(unit.get(TASK, number) or {}, update, at))


def _change_head(unit: Unit, plan: Plan) -> None:
    for name, growth in plan.tally().items():
        unit.head[name] += growth
    last = max((record.number for record in plan.records.values()), default=0)
    unit.head["last_record"] = max(unit.head["last_record"], last)
    unit.head["position"] = plan.seq
