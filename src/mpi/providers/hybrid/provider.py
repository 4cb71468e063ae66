"""Our own matching decides what is clear, Verato what is grey, and nobody notices when Verato is away.

Who is asked when, and whose word counts, is a row of :data:`mpi.providers.hybrid.strategy.STRATEGIES`. Verato is told
of a registration before its turn to be enrolled; in its turn nothing is asked outside. A query only asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from mpi.domain.errand import Lane
from mpi.domain.identity import (
    Candidate,
    PersonState,
    StoredRecord,
    Told,
)
from mpi.domain.record import RecordKey
from mpi.errors import MpiError
from mpi.matching.blocking import BlockingKeys, blocking_keys
from mpi.matching.decision import Decision, Explanation, Outcome
from mpi.ports import IndexStore, Likely, Resolution
from mpi.providers.hybrid.links import Links, kept_under_link, unheard, verdicts
from mpi.providers.hybrid.strategy import Clarity, Party, Strategy, clarity_of, in_doubt
from mpi.providers.hybrid.verdict import kept, placed
from mpi.providers.internal import InternalProvider
from mpi.providers.verato.links import known_as, link_key, located, told_by
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.outcome import CONSEQUENCES, CallOutcome, Keep
from mpi.providers.verato.standing import disputed, parted, standing

INTERNAL, VERATO, FALLBACK = "internal", "verato", "fallback"
"""By whom a case was answered, as metrics name it."""

_BATCH_DEADLINE_S = 60.0


class HybridProvider:
    """Resolves by a strategy over our own matching and Verato.

    An answer waits for Verato at most ``deadline`` seconds, those of a batch for their turns as well. With ``feeds``
    Verato is told, later, of what was clear as well. ``answered`` is told of every case by whom it was answered,
    ``compared`` of every pair of opinions.
    """

    name = "hybrid"

    def __init__(
        self,
        internal: InternalProvider,
        verato: VeratoIndex,
        store: IndexStore,
        strategy: Strategy,
        links: Links,
        *,
        version: str,
        deadline: float,
        feeds: bool,
        answered: Callable[[str], None] = lambda _: None,
        compared: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._internal = internal
        self._verato = verato
        self._store = store
        self._strategy = strategy
        self._links = links
        self._version = version
        self._deadline = deadline
        self._feeds = feeds
        self._clear = _Clear()
        self._answered = answered
        self._compared = compared

    @property
    def version(self) -> str:
        """The strategy, which Verato is asked how, and the model that decides now."""
        return f"{self._version}|{self._internal.version}"

    async def introduce(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord | MpiError]:
        """See :class:`mpi.ports.Provider`: Verato is told of what the strategy asks about, within the deadline."""
        if len(records) == 1:
            return [await self._admitted(records[0], Lane.REAL_TIME, self._deadline)]
        # The turns of a batch take their time. What hangs must not hold it for longer than it holds one patient.
        turns = len(records) / self._verato.client.pacer.rate
        deadline = min(_BATCH_DEADLINE_S, self._deadline + turns)
        return await asyncio.gather(*(self._admitted(r, Lane.BATCH, deadline) for r in records))

    async def _admitted(
        self, record: StoredRecord, lane: Lane, deadline: float
    ) -> StoredRecord | MpiError:
        refused = self._verato.refusal(record.key)
        return refused or await self._introduced(record, lane, deadline)

    async def _introduced(self, record: StoredRecord, lane: Lane, deadline: float) -> StoredRecord:
        if record.told is not None or not self._links.may_be_told(record.key):
            return record
        known = await standing(self._store, record)
        if not known.tellable:
            return record
        home = None
        if known.current is not None and known.current.mpi_id is not None:
            record = kept_under_link(record, known.current)
            home = await self._store.person(known.current.mpi_id)
        if not self._strategy.waits:
            self._answered(INTERNAL)
            return record
        found = await self._internal.resolve(record, blocking_keys(record.standard), home)
        if clarity_of(found.decision) not in self._strategy.asks:
            self._answered(INTERNAL)
            if home is None:
                self._clear.put(record, found)
            return record
        # Where there is another version, another process may have told of that since this one was told before.
        again = known.version > 0
        told = await self._told(
            record, found, home, lane, deadline, new=not known.version, again=again
        )
        if told.told is None:
            self._answered(FALLBACK)
            return told
        self._answered(VERATO if told.told.answered else FALLBACK)
        return replace(told, told=replace(told.told, instead_of=known.version))

    async def tell(self, record: StoredRecord, home: PersonState | None) -> StoredRecord:
        """Tell Verato of a stored record after all, however clear it is; it comes back with what was said."""
        found = await self._internal.resolve(record, blocking_keys(record.standard), home)
        # Verato may have been told of another version since it was told of this one.
        again = await self._links.heard(record.key) is not None
        return await self._told(
            record, found, home, Lane.BATCH, _BATCH_DEADLINE_S, new=False, again=again
        )

    async def locate(self, record: StoredRecord, home: PersonState | None) -> StoredRecord:
        """Ask Verato where it has a stored record by now."""
        found = await self._internal.resolve(record, blocking_keys(record.standard), home)
        told = told_by(await located(self._verato, record))
        known = await self._links.of(_in_question(found, home, record.key))
        return known_as(record, verdicts(told, known))

    async def _told(
        self,
        record: StoredRecord,
        found: Resolution,
        home: PersonState | None,
        lane: Lane,
        within: float,
        *,
        new: bool,
        again: bool = False,
    ) -> StoredRecord:
        """Tell Verato of those in doubt first, then of the record: so its answer is about all of them."""
        until = monotonic() + within
        is_grey = clarity_of(found.decision) is Clarity.GREY
        doubted = _doubted(found) if is_grey and self._strategy.first is Party.INTERNAL else ()
        along = await self._links.introduce(doubted, lane, until)
        heard = {r.key: r.told for r in along if r.told is not None and r.told.answered}
        said = tuple(r for r in along if r.key in heard)
        if len(said) < len(along):
            failed = next(r.told for r in along if r.key not in heard)
            return replace(record, told=failed and unheard(failed), along=said)
        posted = await self._links.post(record, lane, until, new=new, again=again)
        known = heard | await self._links.of(_in_question(found, home, record.key))
        told = None if posted.told is None else verdicts(posted.told, known)
        return replace(posted, told=told, along=said)

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        """See :class:`mpi.ports.Provider`: by what was said when it was introduced; nothing is asked outside."""
        told = record.told
        if told is None or not told.answered:
            found = self._clear.take(record) if home is None else None
            if found is None:
                found = await self._internal.resolve(record, keys, home)
            tellable = self._links.may_be_told(record.key)
            asks = tellable and clarity_of(found.decision) in self._strategy.asks
            missing = asks and self._strategy.waits
            return replace(found, provisional=missing, owed=asks or (tellable and self._feeds))
        return await self._settled(record, keys, home, told)

    async def query(self, record: StoredRecord, keys: BlockingKeys) -> Resolution:
        """See :class:`mpi.ports.Provider`: ``demographicsQuery`` where the strategy asks; nobody is posted."""
        found = await self._internal.resolve(record, keys)
        clarity = clarity_of(found.decision)
        if clarity not in self._strategy.asks or not self._strategy.waits:
            self._answered(INTERNAL)
            return found
        known = await self._links.of(_in_question(found, None, record.key))
        if clarity is Clarity.GREY and self._strategy.first is Party.INTERNAL and not known:
            self._answered(INTERNAL)  # whatever Verato says, it is not about any of these
            return found
        reply = await self._verato.query(record, within=self._deadline)
        told = verdicts(told_by(reply), known)
        self._answered(VERATO if told.answered else FALLBACK)
        if not told.answered:
            return replace(found, provisional=True, valid_until=found.position - 1)
        settled = await self._settled(record, keys, None, told)
        # Nobody is reserved: a query may come from somebody who must not write.
        return settled if settled.decision.mpi_id else replace(settled, told=None)

    async def search(
        self, record: StoredRecord, keys: BlockingKeys, limit: int
    ) -> tuple[Likely, ...]:
        """See :class:`mpi.ports.Provider`: our own matching ranks, about persons whom Verato need not know."""
        return await self._internal.search(record, keys, limit)

    async def _settled(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None, told: Told
    ) -> Resolution:
        """Both have answered. Who shares the link is compared by our own matching as well."""
        if told.link_id is None and told.outcome != CallOutcome.NO_MATCH:
            found = await self._internal.resolve(record, keys, home)
            # What was refused once may be answered as soon as somebody has mended it.
            return replace(found, valid_until=found.position - 1)
        under = () if told.link_id is None else (link_key(told.link_id),)
        around = await self._store.candidates([(key, ()) for key in under])
        found = await self._internal.resolve(record, (*keys, *((key, ()) for key in under)), home)
        # What was said of others on this occasion is stored together with this record, not before.
        same = {verdict.record for verdict in told.verdicts if verdict.same}
        said = (p for p in found.persons if any(record.key in same for record in p.records))
        company = () if home is None else home.company_of(record.key)
        sharing: tuple[Candidate, ...] = around.persons
        if not company:
            # Read later: whoever has gone since is nobody to join, and the commit, guarded from the earlier of both
            # positions on, notices.
            under_link = {p.mpi_id for p in around.persons}
            sharing = tuple(p for p in found.persons if p.mpi_id in under_link)
        linked = tuple(
            person
            for person in {p.mpi_id: p for p in (*sharing, *said)}.values()
            if home is None or person.mpi_id != home.mpi_id
        )
        if home is not None and company:
            decision = kept(
                found.decision, told, home.mpi_id, [r.key for r in company], linked, self._strategy
            )
        else:
            # What Verato has as a version that waits is no evidence, as if people had said so.
            apart = await parted(self._store, record.key) | await disputed(self._store, linked)
            decision = placed(found.decision, told, linked, apart, found.persons, self._strategy)
        self._report(found, told)
        decided = self._strategy.waits and decision is not found.decision
        keep = CONSEQUENCES[CallOutcome(told.outcome)].keep
        position = min(found.position, around.position)
        return replace(
            found,
            decision=decision if decided else found.decision,
            position=position,
            valid_until=found.valid_until if keep is Keep.POSITIVE else position - 1,
            told=told if decided else None,
        )

    def _report(self, found: Resolution, told: Told) -> None:
        """Tell how our own opinion stands to Verato's, of every person that it has one about."""
        said = {verdict.record: verdict.same for verdict in told.verdicts}
        for person in found.persons:
            about = [said[record.key] for record in person.records if record.key in said]
            if about:
                theirs = "same" if any(about) else "different"
                self._compared(_opinion(found.decision, person.mpi_id), theirs)

    def explain(self, record: StoredRecord, found: Resolution) -> Explanation | None:
        """See :class:`mpi.ports.Provider`: the rows of our own matching; Verato gives no reasons."""
        return self._internal.explain(record, found)


class _Clear:
    """What was found of clear cases before their turn, to be used in it once: looking twice would double their cost.

    It may be outdated by then. The commit is guarded by the position it was found at, so that is noticed, and then
    nothing is left here to be used again.
    """

    _MOST = 1_000

    def __init__(self) -> None:
        self._found: dict[tuple[RecordKey, bytes], Resolution] = {}

    def put(self, record: StoredRecord, found: Resolution) -> None:
        """Keep it, instead of the oldest if too many never got their turn."""
        if len(self._found) >= self._MOST:
            del self._found[next(iter(self._found))]
        self._found[record.key, record.digest] = found

    def take(self, record: StoredRecord) -> Resolution | None:
        """What was kept, which is forgotten."""
        return self._found.pop((record.key, record.digest), None)


def _doubted(found: Resolution) -> tuple[Candidate, ...]:
    """The persons in doubt, the likeliest first."""
    people = {person.mpi_id: person for person in found.persons}
    return tuple(people[scored.mpi_id] for scored in in_doubt(found.decision))


def _in_question(found: Resolution, home: PersonState | None, but: RecordKey) -> list[RecordKey]:
    """The other records of those whom our own matching takes for the patient, or may."""
    decision = found.decision
    names = {decision.mpi_id, *decision.merge, *decision.review}
    names |= {scored.mpi_id for scored in in_doubt(decision)}
    of_home = () if home is None else home.records
    others = (r for person in found.persons if person.mpi_id in names for r in person.records)
    keys = dict.fromkeys((*(r.key for r in of_home), *(r.key for r in others)))
    return [key for key in keys if key != but]


def _opinion(decision: Decision, mpi_id: str) -> str:
    if decision.outcome is Outcome.LINK and mpi_id in (decision.mpi_id, *decision.merge):
        return "same"
    doubted = {scored.mpi_id for scored in in_doubt(decision)}
    return "undecided" if mpi_id in doubted else "different"
