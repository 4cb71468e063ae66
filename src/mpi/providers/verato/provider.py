"""Verato resolves identity: its link ids tell who belongs together, our mpi_ids stay ours.

A record is kept under a key made of its link id, as under its blocking keys. So the store finds a link's person, guards
the commit against a simultaneous registration of it, and ends cached answers when it changes – whatever the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from dataclasses import replace

from mpi.domain.errand import Lane
from mpi.domain.identity import Candidate, PersonState, StoredRecord, Told
from mpi.domain.record import RecordKey
from mpi.errors import MpiError, ProviderRefusal, ProviderUnavailable
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Decision, Explanation, Outcome
from mpi.ports import IndexStore, Likely, Resolution
from mpi.providers.verato.health import answered
from mpi.providers.verato.links import NAME, SEVERAL, grade_of, known_as, link_key, told_by
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.outcome import CONSEQUENCES, CallOutcome, Keep
from mpi.providers.verato.standing import disputed, parted, standing
from mpi.providers.verato.watch import Watch

ASSERTED = "asserted_not_same"
OTHER_LINK = "linked_elsewhere"
WAITS = "linked_to_what_waits"

RETIRED = (
    "the number was replaced by another one, and Verato takes no registration of it any more; have Verato unmerge the "
    "two (unmergeIdentities), then send it again"
)

_FOR_EVER = 2**62


class VeratoProvider:
    """Asks Verato who a patient is.

    ``version`` names which Verato is asked, and how: answers of another are not ours. ``unposted`` is the source
    whose records are never told to Verato; ``probed`` one that it should know.
    """

    name = NAME

    def __init__(
        self,
        index: VeratoIndex,
        store: IndexStore,
        *,
        version: str,
        unposted: str,
        probed: str | None,
    ) -> None:
        self._index = index
        self._store = store
        self._version = version
        self._unposted = unposted
        self._watch = Watch(index, probed)

    @property
    def version(self) -> str:
        """Which Verato is asked, and how."""
        return self._version

    async def introduce(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord | MpiError]:
        """See :class:`mpi.ports.Provider`: ``postIdentity``, if it will be the current version."""
        lane = Lane.REAL_TIME if len(records) == 1 else Lane.BATCH
        found = await asyncio.gather(*(self._introduced(record, lane) for record in records))
        for each in found:
            if isinstance(each, ProviderUnavailable):
                raise each
        return found

    async def _introduced(self, record: StoredRecord, lane: Lane) -> StoredRecord | MpiError:
        if record.told is not None or record.key.source == self._unposted:
            return record
        if refused := self._index.refusal(record.key):
            return refused
        found = await standing(self._store, record)
        if not found.tellable:
            return record
        async with self._index.turn_of(record.key):
            # Whoever had the turn before may have been enrolled meanwhile.
            found = await standing(self._store, record)
            if not found.tellable:
                return record
            reply = await self._index.post(record, lane, new=not found.version, in_turn=True)
        try:
            told = told_by(answered(self._index.client, reply))
            return known_as(record, replace(told, instead_of=found.version))
        except MpiError as error:
            return await self._why_refused(error, record.key) if found.version else error

    async def _why_refused(self, error: MpiError, key: RecordKey) -> MpiError:
        """The error, or if the number is known there as one that another has replaced, what to do about that."""
        if not isinstance(error, ProviderRefusal):
            return error
        reply = await self._index.find(key)
        retired = reply.link_id is not None and self._index.counts(reply, key) is False
        return ProviderRefusal(RETIRED) if retired else error

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        """See :class:`mpi.ports.Provider`: by what Verato said when it was introduced, else ``demographicsQuery``."""
        del keys  # Verato compares
        told = record.told or told_by(answered(self._index.client, await self._index.query(record)))
        link_keys = () if told.link_id is None else (link_key(told.link_id),)
        around = await self._store.candidates([(key, ()) for key in link_keys])
        others = tuple(p for p in around.persons if home is None or p.mpi_id != home.mpi_id)
        company = () if home is None else home.company_of(record.key)
        if home is not None and company:
            decision = _staying(home, others, told)
        else:
            barred = await parted(self._store, record.key)
            decision = _placing(others, barred, await disputed(self._store, others))
        keep = CONSEQUENCES[CallOutcome(told.outcome)].keep
        return Resolution(
            decision=decision,
            persons=around.persons,
            blocking_keys=link_keys,
            position=around.position,
            index_size=around.index_size,
            # What Verato has not said it may say at any time, and no event of ours would tell.
            valid_until=_FOR_EVER if keep is Keep.POSITIVE else around.position - 1,
            told=told,
        )

    async def query(self, record: StoredRecord, keys: BlockingKeys) -> Resolution:
        """See :class:`mpi.ports.Provider`."""
        return await self.resolve(record, keys)

    async def search(
        self, record: StoredRecord, keys: BlockingKeys, limit: int
    ) -> tuple[Likely, ...]:
        """See :class:`mpi.ports.Provider`: ``demographicsSearch``. Whom only Verato knows has no id to be named by."""
        del keys
        reply, links = await self._index.search(record, limit)
        answered(self._index.client, reply)
        found: dict[str, Likely] = {}
        for link in links:
            around = await self._store.candidates([(link_key(link.link_id), ())])
            for mpi_id in sorted(person.mpi_id for person in around.persons):
                found.setdefault(mpi_id, Likely(mpi_id, grade_of(link), score=link.score))
        return tuple(found.values())[:limit]

    def explain(self, record: StoredRecord, found: Resolution) -> Explanation | None:
        """See :class:`mpi.ports.Provider`: Verato gives no reasons."""
        del record, found
        return None

    async def check(self) -> None:
        """Whether Verato can be asked. Raises ``ProviderUnavailable``, which says what is wrong and the remedy."""
        await self._watch.check()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._watch.close()
        await self._index.client.close()


def _staying(home: PersonState, others: Sequence[Candidate], told: Told) -> Decision:
    """An update never silently leaves a person with other records."""
    if told.link_id is None or not others:
        return Decision(Outcome.LINK, home.mpi_id, None, ())
    review = tuple(person.mpi_id for person in others)
    return Decision(Outcome.REVIEW, None, None, (), review=review, reason=OTHER_LINK)


def _placing(
    persons: Sequence[Candidate], barred: Set[RecordKey], doubtful: Set[RecordKey]
) -> Decision:
    """A record without company goes to the link's person, unless people have said otherwise or have yet to say."""
    if not persons:
        return Decision(Outcome.NEW, None, None, ())
    free = [
        p.mpi_id
        for p in persons
        if not any(record.key in barred or record.key in doubtful for record in p.records)
    ]
    if not free:
        review = tuple(person.mpi_id for person in persons)
        reason = ASSERTED if barred else WAITS
        return Decision(Outcome.REVIEW, None, None, (), review=review, reason=reason)
    # People may have parted what Verato links: nothing is merged on its word alone.
    first, *rest = sorted(free)
    return Decision(
        Outcome.LINK, first, None, (), review=tuple(rest), reason=SEVERAL if rest else None
    )
