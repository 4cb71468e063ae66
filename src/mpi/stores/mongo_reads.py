"""Reading records, persons and neighbourhoods. Functions of one moment of the index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from mpi.domain.identity import Assertion, Neighbourhood, PersonState, StoredRecord
from mpi.domain.mpi_id import format_mpi_id
from mpi.domain.record import RecordKey
from mpi.stores.codec import person_state
from mpi.stores.mongo_documents import assertion_from, current, stored
from mpi.stores.mongo_schema import ASSERTION, HEAD, META, PERSON, RECORD, VERSION, Document
from mpi.stores.mongo_transactions import View, vanished
from mpi.stores.numbering import person_number
from mpi.stores.rows import NARROWED_FACTOR, VERSION_BITS

Pipeline = list[dict[str, Any]]


async def candidates(
    view: View, blocking_keys: Sequence[tuple[int, tuple[int, ...]]], limit: int
) -> Neighbourhood:
    """See :meth:`mpi.ports.IdentityStore.candidates`. Two round trips, one when nobody is there."""
    wanted = [key for key, _ in blocking_keys]
    members, head = await _members_and_head(view, wanted, limit)
    narrowed = 0
    if len(members) > limit:
        members, narrowed = await _narrowed(view, dict(blocking_keys), limit)
    owners = {document["person"] for document in members}
    persons, records = await _persons(view, owners) if owners else ((), ())
    asserted = await _assertions(view, records) if records and head["assertions"] else ()
    return Neighbourhood(
        persons=persons,
        assertions=asserted,
        position=head["position"],
        index_size=head["records"],
        narrowed=narrowed,
    )


async def _members_and_head(
    view: View, keys: Sequence[int], limit: int
) -> tuple[list[Document], Document]:
    """The owners of the records under the keys, one too many if there are more than ``limit``, and the head."""
    pipeline = [*_under(keys), {"$limit": limit + 1}]
    if view.known_head is not None:
        return (await _found(view, [(RECORD, pipeline)]))[0], view.known_head
    wanted = [(RECORD, pipeline), (META, [{"$match": {"_id": HEAD}}])]
    members, heads = await _found(view, wanted)
    if not heads:
        raise vanished()
    return members, heads[0]


def _under(keys: Iterable[int]) -> Pipeline:
    return [{"$match": {"keys": {"$in": list(keys)}}}, {"$project": {"person": 1}}]


async def _found(view: View, wanted: Sequence[tuple[str, Pipeline]]) -> list[list[Document]]:
    """What each pipeline finds, in one round trip – of which a transaction is not capable."""
    if view.known_head is not None:
        return [await _aggregated(view, name, pipeline) for name, pipeline in wanted]
    marked = [
        (name, [*pipeline, {"$addFields": {"pipeline": number}}])
        for number, (name, pipeline) in enumerate(wanted)
    ]
    (first, start), *others = marked
    unions = [{"$unionWith": {"coll": name, "pipeline": own}} for name, own in others]
    found: list[list[Document]] = [[] for _ in wanted]
    for document in await _aggregated(view, first, start + unions):
        found[document["pipeline"]].append(document)
    return found


async def _aggregated(view: View, name: str, pipeline: Pipeline) -> list[Document]:
    cursor = await view.database[name].aggregate(pipeline, session=view.session)
    return await cursor.to_list()


async def _narrowed(
    view: View, narrower: dict[int, tuple[int, ...]], limit: int
) -> tuple[list[Document], int]:
    """The same with the narrower blocks in place of those that are too large, and how many these are."""
    large = await _larger_than(view, narrower, limit)
    small = narrower.keys() - large
    # Many keys share their narrower ones.
    narrow = {near for key in large for near in narrower[key] or (key,)}
    most = limit * NARROWED_FACTOR
    capped = await _larger_than(view, narrow, most)
    found = await _found(
        view,
        [
            (RECORD, _under(small | (narrow - capped))),
            *((RECORD, [*_under([key]), {"$limit": most}]) for key in capped),
        ],
    )
    return [document for documents in found for document in documents], len(large)


async def _larger_than(view: View, keys: Collection[int], limit: int) -> set[int]:
    """Counted where they lie, each no further than it has to be."""
    if not keys:
        return set()
    counting: Pipeline = [{"$limit": limit + 1}, {"$count": "records"}]
    blocks = [(RECORD, [{"$match": {"keys": key}}, *counting]) for key in keys]
    counts = await _found(view, blocks)
    return {
        key
        for key, count in zip(keys, counts, strict=True)
        if count and count[0]["records"] > limit
    }


async def _persons(
    view: View, numbers: Collection[int]
) -> tuple[tuple[PersonState, ...], list[int]]:
    """Active persons, oldest first, and the numbers of all their records."""
    wanted = {"$in": list(numbers)}
    persons, records = await _found(
        view,
        [
            (PERSON, [{"$match": {"_id": wanted}}, {"$project": {"version": 1}}]),
            (RECORD, [{"$match": {"person": wanted}}]),
        ],
    )
    owned: dict[int, list[Document]] = defaultdict(list)
    for document in records:
        owned[document["person"]].append(document)
    persons.sort(key=_number)
    return (
        tuple([_state(p["_id"], p["version"], owned[p["_id"]]) for p in persons]),
        [document["_id"] for document in records],
    )


def _state(number: int, version: int, documents: list[Document]) -> PersonState:
    mpi_id = format_mpi_id(number)
    documents.sort(key=_number)
    records = tuple([current(document, mpi_id) for document in documents])
    return person_state(mpi_id, version, True, None, records)  # noqa: FBT003


def _number(document: Document) -> int:
    return int(document["_id"])


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
    first = document["_id"] << VERSION_BITS
    span = {"_id": {"$gte": first, "$lt": first + (1 << VERSION_BITS)}}
    others = await view.database[VERSION].find(span, session=view.session).to_list()
    found = [latest, *(stored(other, key, latest.mpi_id) for other in others)]
    return tuple(sorted(found, key=lambda version: version.version))


async def person(view: View, mpi_id: str) -> PersonState | None:
    """See :meth:`mpi.ports.IdentityStore.person`."""
    number = person_number(mpi_id)
    if number is None:
        return None
    persons, owned = await _found(
        view,
        [
            (PERSON, [{"$match": {"_id": number}}]),
            (RECORD, [{"$match": {"person": number}}]),
        ],
    )
    if not persons:
        return None
    (state,) = persons
    owned.sort(key=_number)
    into = state["into"]
    return PersonState(
        mpi_id=mpi_id,
        version=state["version"],
        active=state["active"],
        merged_into=None if into is None else format_mpi_id(into),
        records=tuple([current(document, mpi_id) for document in owned]),
    )


async def _assertions(view: View, records: Iterable[int]) -> tuple[Assertion, ...]:
    wanted = {"records": {"$in": list(records)}}
    cursor = view.database[ASSERTION].find(wanted, session=view.session).sort("_id", 1)
    return tuple([assertion_from(document) for document in await cursor.to_list()])


async def assertions_of(view: View, keys: Sequence[RecordKey]) -> tuple[Assertion, ...]:
    """See :meth:`mpi.ports.IdentityStore.assertions`."""
    if not keys:
        return ()
    named = [{"source": key.source, "source_id": key.source_id} for key in keys]
    cursor = view.database[RECORD].find({"$or": named}, {"_id": 1}, session=view.session)
    numbers = [document["_id"] for document in await cursor.to_list()]
    return await _assertions(view, numbers)
