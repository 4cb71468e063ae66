"""Verato as an index that follows our decisions, and that tells of changes of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from mpi.domain.errand import Lane
from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import ProviderRefusal, ProviderUnavailable
from mpi.ports.elsewhere import Changes
from mpi.providers.verato.health import answered
from mpi.providers.verato.links import NAME, known_as, link_key, located, told_by
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.outcome import CallOutcome, Reason
from mpi.providers.verato.payload import Reply

_MOST_PAGES = 5_000
"""Of notifications in one span of time: half a million, which takes ten minutes to read."""

_NAMED = (
    ("source", "nativeId"),
    ("survivingSource", "survivingNativeId"),
    ("retiredSource", "retiredNativeId"),
)
"""Members of a notification that name a registration."""


class VeratoCounterpart:
    """Implements :class:`mpi.ports.elsewhere.Counterpart`. Records of the source ``unposted`` are never told."""

    name = NAME

    def __init__(self, index: VeratoIndex, *, unposted: str) -> None:
        self._index = index
        self._unposted = unposted

    @property
    def untold(self) -> frozenset[str]:
        """See :class:`mpi.ports.elsewhere.Counterpart`. What was reserved for a link is no registration either."""
        return frozenset({self._unposted, NAME})

    async def tell(self, record: StoredRecord) -> StoredRecord:
        """See :class:`mpi.ports.elsewhere.Counterpart`. Finding it afterwards proves nothing: it may be known."""
        return await self._posted(record, new=False)

    async def _posted(self, record: StoredRecord, *, new: bool) -> StoredRecord:
        reply = self._answered(await self._index.post(record, Lane.BATCH, new=new))
        if reply.outcome is CallOutcome.OVERLAY_REJECTED:
            raise ProviderRefusal("Verato takes the registration for another patient's")
        return known_as(record, told_by(reply))

    async def locate(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """See :class:`mpi.ports.elsewhere.Counterpart`."""
        return await asyncio.gather(*map(self._located, records))

    async def _located(self, record: StoredRecord) -> StoredRecord:
        if record.key.source == self._unposted:
            return record
        reply = self._answered(await located(self._index, record))
        return known_as(record, told_by(reply))

    async def align(self, records: Sequence[StoredRecord]) -> bool:
        """See :class:`mpi.ports.elsewhere.Counterpart`: first take apart, then put together."""
        links: dict[RecordKey, str | None] = {}
        for record in records:
            link = await self._link_of(record)
            if link is not None or not _is_deleted(record):
                links[record.key] = link
        there = [record for record in records if record.key in links]
        parted = await self._part(there, links)
        together = [r for r in there if r.key in parted or not _is_deleted(r)]
        return await self._join(together, links) or bool(parted)

    async def _link_of(self, record: StoredRecord) -> str | None:
        """The link of a registration, which is posted if Verato has none; of a deleted one only if it counts there."""
        reply = self._answered(await self._index.find(record.key))
        if _is_deleted(record):
            return reply.link_id if self._index.counts(reply, record.key) else None
        if reply.link_id is not None:
            return reply.link_id
        told = (await self._posted(record, new=True)).told
        return None if told is None else told.link_id

    async def _part(
        self, records: Sequence[StoredRecord], links: dict[RecordKey, str | None]
    ) -> set[RecordKey]:
        """Take out whom another person shares a link with: the one with the most records keeps it, or comes first.

        Returns who was taken out.
        """
        parted = set()
        for sharing in _by_link(records, links):
            ((keeper, _),) = Counter(record.mpi_id for record in sharing).most_common(1)
            holder = next(record for record in sharing if record.mpi_id == keeper)
            for record in sharing:
                if record.mpi_id != keeper:
                    self._answered(await self._index.unlink(holder.key, record.key))
                    links[record.key] = self._answered(await self._index.find(record.key)).link_id
                    parted.add(record.key)
        return parted

    async def _join(
        self, records: Sequence[StoredRecord], links: dict[RecordKey, str | None]
    ) -> bool:
        """The records of one person go to the link of the first of them, with whoever is linked to them."""
        firsts: dict[str | None, StoredRecord] = {}
        joined = False
        for record in records:
            first = firsts.setdefault(record.mpi_id, record)
            ours, theirs = links[first.key], links[record.key]
            if ours != theirs:
                self._answered(await self._index.link(first.key, record.key))
                links.update({key: ours for key, link in links.items() if link == theirs})
                joined = True
        return joined

    async def retire(self, kept: StoredRecord, retired: RecordKey) -> None:
        """See :class:`mpi.ports.elsewhere.Counterpart`."""
        found = self._answered(await self._index.find(retired))
        # Without a link it was never told; and what was done before is not done again, whoever lost the answer.
        if found.link_id is not None and self._index.counts(found, retired) is not False:
            if kept.mpi_id is not None:  # one that was deleted meanwhile is not told of again
                await self._link_of(kept)
            self._answered(await self._index.merge(kept.key, retired))

    async def changes(self, since: datetime, until: datetime) -> Changes:
        """See :class:`mpi.ports.elsewhere.Counterpart`. By the fields: not all types of notifications are known."""
        newest: dict[RecordKey, tuple[str, str | None]] = {}
        left: set[int] = set()
        async for notifications in self._pages(since, until):
            left.update(_left(notifications))
            for at, key, link in self._read(notifications):
                if key not in newest or at >= newest[key][0]:
                    newest[key] = at, link
        moved = {key: link_key(link) if link else None for key, (_, link) in newest.items()}
        return Changes(moved, frozenset(left))

    async def _pages(self, since: datetime, until: datetime) -> AsyncIterator[Any]:
        """All pages. Raises ``ProviderUnavailable`` where they do not come to an end."""
        before: Any = None
        for page in range(_MOST_PAGES):
            reply = self._answered(await self._index.notifications(since, until, page))
            notifications = reply.content.get("notifications")
            yield notifications
            if reply.content.get("hasNext") is not True:
                return
            if page and notifications == before:
                break
            before = notifications
        raise ProviderUnavailable(
            "Verato's notifications do not come to an end", reason=Reason.NOT_VERATO.value
        )

    def _read(self, notifications: Any) -> Iterator[tuple[str, RecordKey, str | None]]:
        """When what registration got which link."""
        for notification in notifications if isinstance(notifications, list) else ():
            body = _body(notification)
            link = body.get("newLinkId")
            at = str(notification.get("ts") or "") if isinstance(notification, dict) else ""
            for source, native_id in _NAMED:
                name, number = body.get(source), body.get(native_id)
                if isinstance(name, str) and isinstance(number, str):
                    for key in self._index.keys_of(name, number):
                        yield at, key, link if isinstance(link, str) else None

    def _answered(self, reply: Reply) -> Reply:
        return answered(self._index.client, reply)


def _is_deleted(record: StoredRecord) -> bool:
    return record.status is RecordStatus.DELETED


def _by_link(
    records: Sequence[StoredRecord], links: Mapping[RecordKey, str | None]
) -> list[list[StoredRecord]]:
    found: dict[str | None, list[StoredRecord]] = {}
    for record in records:
        found.setdefault(links[record.key], []).append(record)
    return list(found.values())


def _left(notifications: Any) -> Iterator[int]:
    """The keys of the links that something has left."""
    for notification in notifications if isinstance(notifications, list) else ():
        body = _body(notification)
        previous = body.get("previousLinkId")
        if isinstance(previous, str) and previous and previous != body.get("newLinkId"):
            yield link_key(previous)


def _body(notification: Any) -> Mapping[str, Any]:
    """The fields, which come as an object or as the text of one."""
    if not isinstance(notification, dict):
        return {}
    found = notification.get("notificationLowerCaseBody")
    if not isinstance(found, dict):
        try:
            found = orjson.loads(str(notification.get("body") or "{}"))
        except orjson.JSONDecodeError:
            found = {}
    return found if isinstance(found, dict) else {}
