"""The outbox in MongoDB: one document for each errand that waits, changed by itself or within a transaction.

Beside it stands how many calls elsewhere were spent: one document for each period.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import cast

from pymongo import ASCENDING, ReturnDocument, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from mpi.domain.errand import Errand, Lane, LeasedErrand, Waiting
from mpi.stores.codec import encode_time
from mpi.stores.errands import NOBODY, farthest, leased, name_of, row_of, waiting
from mpi.stores.mongodb.schema import ERRAND, META, Database, Document

Session = AsyncClientSession | None

_ORDER = [("lane", ASCENDING), ("due_at", ASCENDING), ("_id", ASCENDING)]


def queueing(errands: Iterable[Errand], now: datetime) -> list[UpdateOne]:
    """The writes that queue the errands: a new document each, or one more wish for an old one."""
    return [_queueing(errand, now) for errand in errands]


def _queueing(errand: Errand, now: datetime) -> UpdateOne:
    row = row_of(errand, now)
    lane, due_at = row.pop("lane"), row.pop("due_at")
    del row["wanted"]
    update = {
        "$setOnInsert": row,
        "$min": {"lane": lane, "due_at": due_at},
        "$inc": {"wanted": 1},
    }
    return UpdateOne({"_id": name_of(errand)}, update, upsert=True)


async def queue(
    database: Database, session: Session, errands: Iterable[Errand], now: datetime
) -> int:
    """See :meth:`mpi.ports.Outbox.queue`."""
    writes = queueing(errands, now)
    if not writes:
        return 0
    return (await database[ERRAND].bulk_write(writes, session=session)).upserted_count


async def lease(
    database: Database,
    session: Session,
    lane: Lane,
    now: datetime,
    length: timedelta,
    limit: int,
) -> tuple[LeasedErrand, ...]:
    """See :meth:`mpi.ports.Outbox.due`. Each is taken by itself: another process may take those in between."""
    found = list[LeasedErrand]()
    is_ahead = {"$gt": encode_time(now), "$lte": encode_time(farthest(now))}
    is_due = {
        "lane": {"$lte": lane.value},
        "due_at": {"$not": is_ahead},
        "leased_until": {"$not": is_ahead},
    }
    while len(found) < limit:
        document = await database[ERRAND].find_one_and_update(
            is_due,
            {"$inc": {"lease": 1}, "$set": {"leased_until": encode_time(now + length)}},
            sort=_ORDER,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if document is None:
            break
        found.append(leased(document["_id"], document))
    return tuple(found)


async def renew(
    database: Database, session: Session, errand: LeasedErrand, now: datetime, length: timedelta
) -> bool:
    """See :meth:`mpi.ports.Outbox.renew`."""
    until = {"$set": {"leased_until": encode_time(now + length)}}
    renewed = await database[ERRAND].update_one(_ours(errand), until, session=session)
    return renewed.matched_count > 0


async def done(database: Database, session: Session, errand: LeasedErrand) -> bool:
    """See :meth:`mpi.ports.Outbox.done`."""
    ours = _ours(errand)
    gone = await database[ERRAND].delete_one(ours | {"wanted": errand.wanted}, session=session)
    if gone.deleted_count:
        return True
    fresh = {"leased_until": NOBODY, "attempts": 0, "reason": None, "wanted": 1}
    kept = await database[ERRAND].update_one(ours, {"$set": fresh}, session=session)
    return kept.matched_count > 0


async def later(
    database: Database,
    session: Session,
    errand: LeasedErrand,
    due_at: datetime,
    reason: str | None,
    mark: str | None,
    *,
    failed: bool,
) -> bool:
    """See :meth:`mpi.ports.Outbox.later`."""
    told: Document = {"leased_until": NOBODY, "reason": reason}
    update: Document = {"$set": told}
    if mark is None:
        update["$inc"] = {"attempts": int(failed)}
    else:
        told |= {"mark": mark, "attempts": 0}
    ours, due = _ours(errand), {"due_at": encode_time(due_at)}
    unwanted = ours | {"wanted": errand.wanted}
    put_off = await database[ERRAND].update_one(
        unwanted, update | {"$set": told | due}, session=session
    )
    if not put_off.matched_count:
        put_off = await database[ERRAND].update_one(ours, update | {"$min": due}, session=session)
    return put_off.matched_count > 0


def _ours(errand: LeasedErrand) -> Document:
    name = name_of(errand.errand)
    return {"_id": name, "lease": errand.lease, "leased_until": {"$ne": NOBODY}}


async def lane_of(database: Database, session: Session, errand: Errand) -> Lane | None:
    """See :meth:`mpi.ports.Outbox.lane_of`."""
    found = await database[ERRAND].find_one({"_id": name_of(errand)}, {"lane": 1}, session=session)
    return None if found is None else Lane(found["lane"])


async def count(database: Database, session: Session) -> tuple[Waiting, ...]:
    """See :meth:`mpi.ports.Outbox.waiting`."""
    group: Document = {"_id": "$kind", "count": {"$sum": 1}, "oldest": {"$min": "$created_at"}}
    group["mark"] = {"$min": "$mark"}
    stages: list[Document] = [{"$group": group}, {"$sort": {"_id": ASCENDING}}]
    found = await database[ERRAND].aggregate(stages, session=session)
    return tuple(
        [waiting(each["_id"], each["count"], each["oldest"], each["mark"]) async for each in found]
    )


async def spend(
    database: Database, session: Session, name: str, calls: int, most: int
) -> tuple[int, int]:
    """See :meth:`mpi.ports.CallLedger.spend`; ``name`` is that of the counter."""
    spent: Document = {"$ifNull": ["$spent", 0]}
    granted: Document = {"$min": [calls, {"$max": [0, {"$subtract": [most, spent]}]}]}
    stages: list[Document] = [
        {"$set": {"granted": granted}},
        {"$set": {"spent": {"$add": [spent, "$granted"]}}},
    ]
    found = await database[META].find_one_and_update(
        {"_id": name}, stages, upsert=True, return_document=ReturnDocument.AFTER, session=session
    )
    spending = cast("Document", found)  # it was made if there was none
    return spending["granted"], spending["spent"]
