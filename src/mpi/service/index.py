"""The master patient index: resolve, register and read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from time import perf_counter

from mpi.domain.identity import (
    Event,
    EventKind,
    IdentityChange,
    PersonState,
    RecordMove,
    StoredRecord,
)
from mpi.domain.mpi_id import parse_mpi_id
from mpi.domain.record import RecordKey, RecordStatus, Submission, TraitWarning
from mpi.domain.survivorship import golden_record
from mpi.errors import Gone, MpiError, NotFound, PreconditionFailed
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import (
    Decision,
    Explanation,
    Outcome,
    decide,
    explain_person,
    self_weight,
)
from mpi.matching.model import Model
from mpi.matching.placeholders import DEFAULT, Placeholders
from mpi.ports import IndexStore
from mpi.service.answers import (
    CandidateView,
    ChangeAnswer,
    MatchAnswer,
    PersonView,
    RecordView,
    candidate_view,
    record_view,
)
from mpi.service.enrollment import Enrolled, Enrollment
from mpi.service.preparation import Preparation, Prepared

INSUFFICIENT = "insufficient_demographics"


class MasterPatientIndex:
    """Says who a patient is, and registers patients.

    Enrollments of one process wait for each other, so that only other processes can cause conflicts.
    """

    def __init__(
        self,
        *,
        store: IndexStore,
        model: Model,
        hmac_key: bytes,
        clock: Callable[[], datetime],
        placeholders: Placeholders = DEFAULT,
        enroll: str = "identified",
        batch_size: int = 100,
        narrowed: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._model = model
        self._prepare = Preparation(hmac_key, placeholders, clock)
        self._enrollment = Enrollment(store, store, model)
        self._clock = clock
        self._policy = enroll
        self._batch_size = batch_size
        self._enrolling = asyncio.Lock()
        self._narrowed = narrowed

    async def resolve(
        self,
        submission: Submission,
        *,
        enroll: bool | None = None,
        explain: bool = False,
        actor: str,
        if_match: int | None = None,
        warnings: Sequence[TraitWarning] = (),
    ) -> MatchAnswer:
        """Who is this? With ``enroll`` (default by policy) the submission is registered as well."""
        if self.enrolls(named=submission.key is not None, wish=enroll):
            async with self._enrolling:
                found = await self._register(submission, actor, explain=explain, if_match=if_match)
        else:
            found = await self._query(submission, explain=explain)
        return replace(found, warnings=(*warnings, *found.warnings)) if warnings else found

    async def batch(
        self,
        rows: Iterable[Submission | Prepared | MpiError],
        *,
        enroll: bool | None,
        actor: str,
        explain: bool = False,
    ) -> AsyncIterator[MatchAnswer | MpiError]:
        """Answers in order. Rows are committed in groups; a row that fails leaves the others alone."""
        waiting = iter(rows)
        while group := list(islice(waiting, self._batch_size)):
            for answer in await self._group(group, actor, enroll=enroll, explain=explain):
                yield answer

    async def _group(
        self,
        rows: list[Submission | Prepared | MpiError],
        actor: str,
        *,
        enroll: bool | None,
        explain: bool,
    ) -> list[MatchAnswer | MpiError]:
        if not any(
            not isinstance(row, MpiError) and self.enrolls(named=row.key is not None, wish=enroll)
            for row in rows
        ):
            return [await self._row(row, actor, enroll=enroll, explain=explain) for row in rows]
        async with self._enrolling, self._store.group():
            return [await self._row(row, actor, enroll=enroll, explain=explain) for row in rows]

    async def _row(
        self,
        row: Submission | Prepared | MpiError,
        actor: str,
        *,
        enroll: bool | None,
        explain: bool,
    ) -> MatchAnswer | MpiError:
        if isinstance(row, MpiError):
            return row
        await asyncio.sleep(0)  # a long batch lets other requests in
        try:
            if self.enrolls(named=row.key is not None, wish=enroll):
                return await self._register(row, actor, explain=explain)
            return await self._query(row, explain=explain)
        except MpiError as error:
            if error.retryable:
                raise
            return error

    def enrolls(self, *, named: bool, wish: bool | None) -> bool:
        """Whether a submission is registered: as it wishes, otherwise by the policy.

        ``named``: it brings its source and source id.
        """
        if wish is not None:
            return wish
        return self._policy == "always" or (self._policy == "identified" and named)

    async def _query(self, submission: Submission | Prepared, *, explain: bool) -> MatchAnswer:
        started = perf_counter()
        record, keys = self._prepare.record(submission)
        decision, persons, size = await self._decide(record, keys)
        status = {Outcome.LINK: "matched", Outcome.REVIEW: "review", Outcome.NEW: "no_match"}[
            decision.outcome
        ]
        found = self._answer(record, decision, started)
        explanation = self._explanation(record, decision, persons, size) if explain else None
        return replace(found, mpi_id=decision.mpi_id, status=status, explanation=explanation)

    async def _decide(
        self, record: StoredRecord, keys: BlockingKeys
    ) -> tuple[Decision, dict[str, PersonState], int]:
        around = await self._store.candidates(keys)
        if around.narrowed:
            self._narrowed(around.narrowed)
        size = around.index_size
        decision = decide(
            record.standard, None, around.persons, around.assertions, self._model, size
        )
        return decision, {person.mpi_id: person for person in around.persons}, size

    async def _register(
        self,
        submission: Submission | Prepared,
        actor: str,
        *,
        explain: bool,
        if_match: int | None = None,
    ) -> MatchAnswer:
        started = perf_counter()
        record, keys = self._prepare.record(submission)
        if submission.key is None:
            if self_weight(record.standard, self._model, 0) < self._model.thresholds.link:
                found = self._answer(record, None, started)
                return replace(found, status="no_match", reason=INSUFFICIENT)
            record = replace(record, key=self._prepare.anonymous_key(record))
        explanation = None
        if explain:
            decision, persons, size = await self._decide(record, keys)
            explanation = self._explanation(record, decision, persons, size)
        enrolled = await self._enrollment.register(record, keys, actor=actor, if_match=if_match)
        return replace(self._enrolled(record, enrolled, started), explanation=explanation)

    def _enrolled(self, record: StoredRecord, enrolled: Enrolled, started: float) -> MatchAnswer:
        found = self._answer(record, enrolled.decision, started)
        return replace(
            found,
            mpi_id=enrolled.mpi_id,
            status=enrolled.status,
            event_id=enrolled.committed.event.event_id if enrolled.committed else None,
            task_id=enrolled.task_id,
            source=record.key.source,
            source_id=record.key.source_id,
            provisional=enrolled.provisional,
        )

    def _answer(
        self, record: StoredRecord, decision: Decision | None, started: float
    ) -> MatchAnswer:
        best = decision.best if decision else None
        return MatchAnswer(
            mpi_id=None,
            status="no_match",
            confidence=best.confidence if best else None,
            match_weight=best.weight if best else None,
            grade=best.grade if best else None,
            model_version=self._model.version,
            processing_time_ms=round((perf_counter() - started) * 1000, 3),
            reason=decision.reason if decision else None,
            warnings=tuple(TraitWarning(*warning) for warning in record.warnings),
            candidates=tuple(candidate_view(c) for c in decision.candidates) if decision else (),
        )

    def _explanation(
        self, record: StoredRecord, decision: Decision, persons: dict[str, PersonState], size: int
    ) -> Explanation | None:
        if decision.best is None:
            return None
        return explain_person(record.standard, persons[decision.best.mpi_id], self._model, size)

    async def search(self, submission: Submission, limit: int = 10) -> tuple[CandidateView, ...]:
        """Ranked candidates; never enrolls."""
        record, keys = self._prepare.record(submission)
        decision, _, _ = await self._decide(record, keys)
        return tuple(candidate_view(c) for c in decision.candidates[:limit])

    async def explain(
        self, left: Submission | RecordKey, right: Submission | RecordKey
    ) -> Explanation:
        """Why two records, stored or given in full, are or are not one person."""
        one, other = await self._side(left), await self._side(right)
        person = PersonState(other.mpi_id or "", 0, active=True, records=(other,))
        size = (await self._store.statistics())["records"]
        found = explain_person(one.standard, person, self._model, size)
        return replace(found, mpi_id=other.mpi_id)

    async def _side(self, side: Submission | RecordKey) -> StoredRecord:
        if isinstance(side, Submission):
            return self._prepare.record(side)[0]
        return await self._current(side)

    async def _current(self, key: RecordKey) -> StoredRecord:
        record = await self._store.record(key)
        if record is None:
            raise NotFound("no record is registered under this source and source_id")
        if record.status is RecordStatus.DELETED:
            raise Gone("the record was deleted; its history remains")
        return record

    async def get_record(self, key: RecordKey) -> RecordView:
        """The current version of a registration. Raises ``NotFound`` or ``Gone``."""
        record = await self._current(key)
        versions = await self._store.versions(key)
        return record_view(record, pending=any(v.status is RecordStatus.PENDING for v in versions))

    async def delete_record(
        self, key: RecordKey, *, actor: str, reason: str | None = None, if_match: int | None = None
    ) -> ChangeAnswer:
        """Retire a registration; with its last record the person retires, without an alias."""
        async with self._enrolling:
            record = await self._current(key)
            if if_match is not None and record.version != if_match:
                raise PreconditionFailed("the record has another version than If-Match names")
            person = await self._store.person(record.mpi_id or "")
            last = person is not None and len(person.records) == 1
            gone = ((person.mpi_id, None),) if person is not None and last else ()
            change = IdentityChange(
                kind=EventKind.DELETED,
                at=self._clock(),
                actor=actor,
                reason=reason,
                record=replace(record, status=RecordStatus.DELETED, received_at=self._clock()),
                moves=(RecordMove(key, record.mpi_id, None),),
                retire=gone,
            )
            committed = await self._store.commit(change)
        return ChangeAnswer(
            committed.event.event_id, record.mpi_id, tuple(mpi_id for mpi_id, _ in gone)
        )

    async def person(self, mpi_id: str, as_of: datetime | None = None) -> PersonView:
        """A person, aliases followed; with ``as_of`` the records it held then. Raises ``NotFound`` or ``Gone``."""
        asked = _canonical(mpi_id)
        state = await self._store.person(asked)
        while state is not None and state.merged_into is not None and as_of is None:
            state = await self._store.person(state.merged_into)
        if state is None:
            raise NotFound("no person has this mpi_id")
        records = state.records if as_of is None else await self._records_at(state.mpi_id, as_of)
        if not records:
            raise Gone("the person is retired; its history remains")
        tasks = await self._store.tasks(None, mpi_id=state.mpi_id)
        return PersonView(
            mpi_id=state.mpi_id,
            requested_mpi_id=asked,
            version=state.version,
            status="active" if state.active else "retired",
            golden_record=golden_record(records),
            records=tuple(record_view(r) for r in records),
            crosswalk=tuple((r.key.source, r.key.source_id) for r in records),
            tasks=tuple(t.task_id for t in tasks if t.status != "decided"),
        )

    async def _records_at(self, mpi_id: str, moment: datetime) -> tuple[StoredRecord, ...]:
        held: dict[RecordKey, None] = {}
        for event in await self.history(mpi_id):
            if event.at > moment:
                break
            for move in event.moves:
                if move.target == mpi_id:
                    held[move.key] = None
                elif move.origin == mpi_id:
                    held.pop(move.key, None)
        found = [await self._version_at(key, moment) for key in held]
        return tuple(record for record in found if record is not None)

    async def _version_at(self, key: RecordKey, moment: datetime) -> StoredRecord | None:
        kept = (RecordStatus.ACTIVE, RecordStatus.HISTORY)
        past = [
            v
            for v in await self._store.versions(key)
            if v.received_at <= moment and v.status in kept
        ]
        return past[-1] if past else None

    async def history(self, mpi_id: str) -> tuple[Event, ...]:
        """Everything that ever touched a person, oldest first. Raises ``NotFound``."""
        asked = _canonical(mpi_id)
        if await self._store.person(asked) is None:
            raise NotFound("no person has this mpi_id")
        found: list[Event] = []
        while page := await self._store.events(found[-1].seq if found else 0, mpi_id=asked):
            found += page
        return tuple(found)

    async def events(self, after: int, limit: int) -> tuple[Event, ...]:
        """The feed of identity changes after a sequence number."""
        return await self._store.events(after, limit)

    async def statistics(self) -> dict[str, int]:
        """Counts of records, persons, open tasks and events."""
        return await self._store.statistics()

    def crosswalk(self) -> AsyncIterator[tuple[RecordKey, str]]:
        """Every active record with its person."""
        return self._store.crosswalk()


def _canonical(mpi_id: str) -> str:
    found = parse_mpi_id(mpi_id)
    if found is None:
        raise NotFound("this is no mpi_id: its form or its check character is wrong")
    return found
