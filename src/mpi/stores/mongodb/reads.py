"""Reading records and persons. Functions of one moment of the index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mpi.domain.identity import Assertion, PersonState, StoredRecord
from mpi.domain.mpi_id import format_mpi_id
from mpi.domain.record import RecordKey
from mpi.stores.codec import person_state
from mpi.stores.mongodb.documents import (
    assertion_from,
    current,
    named,
    number_of,
    stored,
    versions_of,
)
from mpi.stores.mongodb.schema import ASSERTION, PERSON, RECORD, VERSION, Document
from mpi.stores.mongodb.transactions import View
from mpi.stores.mongodb.unit import Unit
from mpi.stores.numbering import person_number

Pipeline = list[dict[str, Any]]


async def found(view: View, wanted: Sequence[tuple[str, Pipeline]]) -> list[list[Document]]:
    """What each pipeline finds, in one round trip – of which a transaction is not capable."""
    if view.known_head is not None:
        return [await aggregated(view, name, pipeline) for name, pipeline in wanted]
    marked = [
        (name, [*pipeline, {"$addFields": {"pipeline": number}}])
        for number, (name, pipeline) in enumerate(wanted)
    ]
    (first, start), *others = marked
    unions = [{"$unionWith": {"coll": name, "pipeline": own}} for name, own in others]
    found: list[list[Document]] = [[] for _ in wanted]
    for document in await aggregated(view, first, start + unions):
        found[document["pipeline"]].append(document)
    return found


async def aggregated(view: View, name: str, pipeline: Pipeline) -> list[Document]:
    cursor = await view.database[name].aggregate(pipeline, session=view.session)
    return await cursor.to_list()


async def record(view: View, key: RecordKey) -> StoredRecord | None:
    """See :meth:`mpi.ports.IdentityStore.record`."""
    document = await _record(view, key)
    return None if document is None else current(document)


async def _record(view: View, key: RecordKey) -> Document | None:
    wanted = {"source": key.source, "source_id": key.source_id}
    return await view.database[RECORD].find_one(wanted, session=view.session)


async def versions(view: View, key: RecordKey) -> tuple[StoredRecord, ...]:
    """See :meth:`mpi.ports.IdentityStore.versions`."""
    document = await _record(view, key)
    if document is None:
        return ()
    latest = current(document)
    span = versions_of(document["_id"])
    others = await view.database[VERSION].find(span, session=view.session).to_list()
    found = [latest, *(stored(other, key, latest.mpi_id) for other in others)]
    return tuple(sorted(found, key=lambda version: version.version))


async def record_inside(unit: Unit, key: RecordKey) -> StoredRecord | None:
    """The same as :func:`record` within a transaction, whose changes need not have been written."""
    document = await unit.loading(lambda: unit.record_document(key))
    return None if document is None else current(document)


async def person(view: View, mpi_id: str) -> PersonState | None:
    """See :meth:`mpi.ports.IdentityStore.person`."""
    number = person_number(mpi_id)
    if number is None:
        return None
    persons, owned = await found(
        view,
        [
            (PERSON, [{"$match": {"_id": number}}]),
            (RECORD, [{"$match": {"person": number}}]),
        ],
    )
    return state(persons[0], owned) if persons else None


async def person_inside(unit: Unit, mpi_id: str) -> PersonState | None:
    """The same within a transaction, whose changes need not have been written."""
    number = person_number(mpi_id)
    if number is None:
        return None
    known = await unit.loading(lambda: unit.get(PERSON, number))
    if known is None:
        return None
    return state(known, await unit.loading(lambda: unit.records_of(number)))


def state(document: Document, owned: list[Document]) -> PersonState:
    """A person with its records."""
    mpi_id, into = format_mpi_id(document["_id"]), document["into"]
    return person_state(
        mpi_id,
        document["version"],
        document["active"],
        None if into is None else format_mpi_id(into),
        tuple([current(record, mpi_id) for record in sorted(owned, key=number_of)]),
    )


async def assertions_about(view: View, records: Iterable[int]) -> tuple[Assertion, ...]:
    wanted = {"records": {"$in": list(records)}}
    cursor = view.database[ASSERTION].find(wanted, session=view.session).sort("_id", 1)
    return tuple([assertion_from(document) for document in await cursor.to_list()])


async def assertions_of(view: View, keys: Sequence[RecordKey]) -> tuple[Assertion, ...]:
    """See :meth:`mpi.ports.IdentityStore.assertions`."""
    if not keys:
        return ()
    cursor = view.database[RECORD].find(named(keys), {"_id": 1}, session=view.session)
    numbers = [document["_id"] for document in await cursor.to_list()]
    return await assertions_about(view, numbers)
