"""Who might a record be: everybody that owns a record under one of its blocking keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from mpi.domain.identity import Assertion, Neighbour, Neighbourhood
from mpi.domain.mpi_id import format_mpi_id
from mpi.matching.blocking import NARROWED_FACTOR, BlockingKeys
from mpi.stores.codec import neighbour
from mpi.stores.mongodb.documents import EVIDENCE, assertion_from, evidence, number_of
from mpi.stores.mongodb.reads import Pipeline, aggregated, assertions_about, found
from mpi.stores.mongodb.schema import HEAD, META, PERSON, RECORD, Document
from mpi.stores.mongodb.transactions import View, vanished
from mpi.stores.mongodb.unit import Unit

_OWNERS: Pipeline = [
    {"$group": {"_id": "$person", "members": {"$sum": 1}}},
    {
        "$lookup": {
            "from": RECORD,
            "localField": "_id",
            "foreignField": "person",
            "as": "records",
        }
    },
]
_TO_COMPARE: Pipeline = [
    *_OWNERS,
    {"$project": {"members": 1, "records": dict.fromkeys(EVIDENCE, 1)}},
]
_TO_CHANGE: Pipeline = [
    *_OWNERS,
    {"$lookup": {"from": PERSON, "localField": "_id", "foreignField": "_id", "as": "person"}},
]


async def candidates(view: View, blocking_keys: BlockingKeys, limit: int) -> Neighbourhood:
    """See :meth:`mpi.ports.IdentityStore.candidates`. One round trip, unless a block is too large."""
    wanted = [key for key, _ in blocking_keys]
    owners, heads = await found(
        view,
        [
            (RECORD, [*_under(wanted), {"$limit": limit + 1}, *_TO_COMPARE]),
            (META, [{"$match": {"_id": HEAD}}]),
        ],
    )
    if not heads:
        raise vanished()
    head = view.known_head or heads[0]
    narrowed = 0
    if _members(owners) > limit:
        owners, narrowed = await _narrowed(view, dict(blocking_keys), limit)
    owners.sort(key=number_of)
    persons = [_neighbour(owner["_id"], owner["records"]) for owner in owners]
    records = [record["_id"] for owner in owners for record in owner["records"]]
    asserted = await assertions_about(view, records) if records and head["assertions"] else ()
    return _neighbourhood(head, persons, asserted, narrowed)


async def candidates_inside(
    view: View, unit: Unit, blocking_keys: BlockingKeys, limit: int
) -> Neighbourhood:
    """The same within a transaction, whose changes are written first only if blocks may be too large.

    What is found is kept by the unit: the change that follows touches some of it.
    """
    around = await _known_around(view, unit, blocking_keys, limit)
    if around is None:
        await unit.write()
        around = await candidates(view, blocking_keys, limit)
    return around


async def _known_around(
    view: View, unit: Unit, blocking_keys: BlockingKeys, limit: int
) -> Neighbourhood | None:
    wanted = [key for key, _ in blocking_keys]
    pipeline = [*_under(wanted), {"$limit": limit + 1}, *_TO_CHANGE]
    owners = await aggregated(view, RECORD, pipeline)
    if _members(owners) > limit:
        return None
    unit.learn(
        (owner["person"][0] for owner in owners),
        (record for owner in owners for record in owner["records"]),
    )
    under = unit.under(wanted)
    if len(under) > limit:
        return None
    persons, records = [], []
    for number in sorted({document["person"] for document in under}):
        owned = await unit.loading(partial(unit.records_of, number))
        persons.append(_neighbour(number, owned))
        records += [document["_id"] for document in owned]
    asserted: list[Document] = []
    if unit.head["assertions"] and records:
        asserted = await unit.loading(partial(unit.assertions_about, records))
    return _neighbourhood(unit.head, persons, map(assertion_from, asserted), 0)


def _neighbourhood(
    head: Document,
    persons: Iterable[Neighbour],
    asserted: Iterable[Assertion],
    narrowed: int,
) -> Neighbourhood:
    return Neighbourhood(
        persons=tuple(persons),
        assertions=tuple(asserted),
        position=head["position"],
        index_size=head["records"],
        narrowed=narrowed,
    )


def _neighbour(number: int, owned: Iterable[Document]) -> Neighbour:
    records = sorted(owned, key=number_of)
    return neighbour(format_mpi_id(number), tuple(map(evidence, records)))


def _members(owners: Iterable[Document]) -> int:
    return sum(owner["members"] for owner in owners)


def _under(keys: Iterable[int]) -> Pipeline:
    return [{"$match": {"keys": {"$in": list(keys)}}}, {"$project": {"person": 1}}]


async def _narrowed(
    view: View, narrower: dict[int, tuple[int, ...]], limit: int
) -> tuple[list[Document], int]:
    """The owners with the narrower blocks in place of those that are too large, and how many these are."""
    large = await _larger_than(view, narrower, limit)
    small = narrower.keys() - large
    # Many keys share their narrower ones.
    narrow = {near for key in large for near in narrower[key] or (key,)}
    most = limit * NARROWED_FACTOR
    capped = await _larger_than(view, narrow, most)
    members = await found(
        view,
        [
            (RECORD, _under(small | (narrow - capped))),
            *((RECORD, [*_under([key]), {"$limit": most}]) for key in capped),
        ],
    )
    numbers = {member["person"] for part in members for member in part}
    start: Pipeline = [{"$match": {"_id": {"$in": list(numbers)}}}, {"$set": {"person": "$_id"}}]
    return await aggregated(view, PERSON, [*start, *_TO_COMPARE]), len(large)


async def _larger_than(view: View, keys: Collection[int], limit: int) -> set[int]:
    """Counted where they lie, each no further than it has to be."""
    if not keys:
        return set()
    counting: Pipeline = [{"$limit": limit + 1}, {"$count": "records"}]
    blocks = [(RECORD, [{"$match": {"keys": key}}, *counting]) for key in keys]
    counts = await found(view, blocks)
    return {
        key
        for key, count in zip(keys, counts, strict=True)
        if count and count[0]["records"] > limit
    }
