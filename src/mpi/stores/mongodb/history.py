"""Events and tasks, read at one moment of the index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import chain

from mpi.domain.identity import Event, Task, TaskStatus, Touched
from mpi.domain.record import RecordKey
from mpi.errors import InvalidInput
from mpi.stores.codec import encode_time
from mpi.stores.history_codec import changes_content
from mpi.stores.mongodb.documents import event_from, task_from
from mpi.stores.mongodb.schema import COUNTERS, EVENT, RECORD, TASK, Document
from mpi.stores.mongodb.tail import keys_of_versions
from mpi.stores.mongodb.transactions import View
from mpi.stores.numbering import event_seq, person_number, task_number


async def _undoing(view: View, seqs: Sequence[int]) -> dict[int, int]:
    """The events that undo some of these and are not undone themselves, by what they undo."""
    if not seqs:
        return {}
    wanted = {"undoes": {"$in": list(seqs)}}
    cursor = view.database[EVENT].find(wanted, {"undoes": 1}, session=view.session)
    last: dict[int, int] = {}
    for document in await cursor.sort("_id", 1).to_list():
        last[document["undoes"]] = document["_id"]
    undone = await _undoing(view, list(last.values()))
    return {seq: by for seq, by in last.items() if by not in undone}


async def _events(view: View, wanted: Document, limit: int = 0) -> tuple[Event, ...]:
    """The events in order; ``limit`` 0 means all."""
    cursor = view.database[EVENT].find(wanted, session=view.session).sort("_id", 1).limit(limit)
    documents = await cursor.to_list()
    undone = await _undoing(view, [document["_id"] for document in documents])
    return tuple([event_from(document, undone.get(document["_id"])) for document in documents])


async def events(view: View, after: int, limit: int, mpi_id: str | None) -> tuple[Event, ...]:
    """See :meth:`mpi.ports.IdentityHistory.events`."""
    wanted: Document = {"_id": {"$gt": after}}
    if mpi_id is not None:
        wanted["persons"] = person_number(mpi_id)
    return await _events(view, wanted, limit) if limit else ()


async def record_events(view: View, key: RecordKey) -> tuple[Event, ...]:
    """See :meth:`mpi.ports.IdentityHistory.record_events`."""
    named = {"source": key.source, "source_id": key.source_id}
    record = await view.database[RECORD].find_one(named, {"_id": 1}, session=view.session)
    return () if record is None else await _events(view, {"records": record["_id"]})


async def event(view: View, identifier: str) -> Event | None:
    """See :meth:`mpi.ports.IdentityHistory.event`."""
    seq = event_seq(identifier)
    return None if seq is None else next(iter(await _events(view, {"_id": seq})), None)


async def later_events(view: View, of: Event) -> tuple[Event, ...]:
    """See :meth:`mpi.ports.IdentityHistory.later_events`."""
    touched = await view.database[EVENT].find_one({"_id": of.seq}, session=view.session)
    if touched is None:
        return ()
    either = [{name: {"$in": touched[name]}} for name in ("records", "persons") if touched[name]]
    return await _events(view, {"_id": {"$gt": of.seq}, "$or": either}) if either else ()


async def touched(view: View, first: int, last: int) -> tuple[Touched, ...]:
    """See :meth:`mpi.ports.IdentityHistory.touched`."""
    wanted = {"_id": {"$gte": first, "$lte": last}}
    documents = view.database[EVENT].find(wanted, session=view.session).sort("_id", 1)
    events = [(document, event_from(document)) for document in await documents.to_list()]
    registered = {e.seq: document["records"] for document, e in events if changes_content(e)}
    records = set(chain.from_iterable(registered.values()))
    keys = await keys_of_versions(view.database, view.session, records)
    return tuple(
        [
            Touched(
                event.seq,
                event.at,
                tuple(sorted(event.persons)),
                frozenset().union(*(keys[record] for record in registered.get(event.seq, ()))),
            )
            for _, event in events
        ]
    )


async def tasks(
    view: View,
    status: TaskStatus | None,
    after: str | None,
    limit: int,
    due: datetime | None,
) -> tuple[Task, ...]:
    """See :meth:`mpi.ports.TaskQueue.tasks`."""
    start = 0 if after is None else task_number(after)
    if start is None:
        raise InvalidInput("after: not the id of a task")
    conditions: list[Document] = [{"_id": {"$gt": start}}]
    if status is not None:
        conditions.append({"status": status.value})
    if due is not None:
        now = encode_time(due)
        conditions.append({"$or": [{"deferred_until": None}, {"deferred_until": {"$lte": now}}]})
    cursor = view.database[TASK].find({"$and": conditions}, session=view.session)
    documents = await cursor.sort("_id", 1).limit(limit).to_list() if limit else []
    return tuple(map(task_from, documents))


async def undecided(view: View, mpi_id: str) -> tuple[Task, ...]:
    """See :meth:`mpi.ports.TaskQueue.undecided`."""
    person = person_number(mpi_id)
    if person is None:
        return ()
    owned = view.database[RECORD].find({"person": person}, {"_id": 1}, session=view.session)
    records = [document["_id"] for document in await owned.to_list()]
    wanted = {
        "$or": [{"record": {"$in": records}}, {"persons": person}],
        "status": {"$ne": TaskStatus.DECIDED.value},
    }
    found = view.database[TASK].find(wanted, session=view.session).sort("_id", 1)
    return tuple(map(task_from, await found.to_list()))


async def task(view: View, identifier: str) -> Task | None:
    """See :meth:`mpi.ports.TaskQueue.task`."""
    number = task_number(identifier)
    document = await view.database[TASK].find_one({"_id": number}, session=view.session)
    return None if document is None else task_from(document)


def statistics(head: Document) -> dict[str, int]:
    """See :meth:`mpi.ports.IdentityHistory.statistics`."""
    counts = {name: head[name] for name in COUNTERS if name != "minted"}
    return counts | {"events": head["position"]}
