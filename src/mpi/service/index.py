"""The master patient index: resolve, register and read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from time import perf_counter

from mpi.domain.identity import (
    Event,
    EventKind,
    IdentityChange,
    Neighbour,
    PersonState,
    RecordMove,
    StoredRecord,
)
from mpi.domain.mpi_id import parse_mpi_id
from mpi.domain.record import RecordKey, RecordStatus, Submission, TraitWarning
from mpi.domain.registration import Warnings
from mpi.domain.versions import waiting_version
from mpi.errors import Conflict, Gone, InvalidInput, MpiError, NotFound
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Explanation, Outcome, explain_person, self_weight
from mpi.matching.placeholders import DEFAULT, Placeholders
from mpi.ports import IndexStore, ModelInUse, Outbox, Provider, Resolution
from mpi.service.answers import (
    ChangeAnswer,
    LikelyView,
    MatchAnswer,
    PersonView,
    RecordView,
    likely_view,
    match_answer,
    person_view,
    record_view,
)
from mpi.service.enrollment import Enrolled, Enrollment
from mpi.service.history import history_of, person_at
from mpi.service.introduction import introduced
from mpi.service.lookup import check_version, current_record, expected, surviving_person
from mpi.service.preparation import ANONYMOUS, Preparation, Prepared
from mpi.service.recall import Question, Recall
from mpi.service.reservation import Reservation
from mpi.service.retrying import Retrying
from mpi.service.rows import LONGEST_GROUP_S, BatchRow, RowAnswer, answer_rows
from mpi.service.task_settlement import withdrawn

INSUFFICIENT = "insufficient_demographics"
_STATUS = {Outcome.LINK: "matched", Outcome.REVIEW: "review", Outcome.NEW: "no_match"}


class MasterPatientIndex:
    """Says who a patient is, and registers patients.

    Who it is says the ``provider``, for every query without ``recall``; the ``model`` explains pairs and tells who is
    recognisable. ``side_by_side`` enrollments are under way at a time; ``conflict`` is told of late commits. The
    ``outbox`` holds what the provider is told again; ``asked_later``: it may be asked then only.
    """

    def __init__(
        self,
        *,
        store: IndexStore,
        provider: Provider,
        model: ModelInUse,
        recall: Recall | None,
        hmac_key: bytes,
        clock: Callable[[], datetime],
        placeholders: Placeholders = DEFAULT,
        enroll: str = "identified",
        batch_size: int = 100,
        side_by_side: int = 1,
        conflict: Callable[[], None] = lambda: None,
        outbox: Outbox | None = None,
        asked_later: bool = False,
    ) -> None:
        self._store = store
        self._provider = provider
        self._model = model
        self._recall = recall
        self._prepare = Preparation(hmac_key, placeholders, clock)
        self._enrollment = Enrollment(
            store, provider, Retrying(conflict), outbox, asked_later=asked_later
        )
        self._enrollment_in_group = replace(self._enrollment, retrying=Retrying(conflict))
        self._reservation = Reservation(provider, self._prepare, self._enrollment)
        self._clock = clock
        self._policy = enroll
        self._batch_size = batch_size
        self._enrolling = asyncio.Semaphore(side_by_side)

    async def resolve(
        self,
        submission: Submission,
        *,
        enroll: bool | None = None,
        explain: bool = False,
        actor: str,
        if_match: int | None = None,
        create_only: bool = False,
        warnings: Sequence[TraitWarning] = (),
        form: bytes | None = None,
    ) -> MatchAnswer:
        """Who is this? With ``enroll`` (default by policy) the submission is registered as well.

        ``warnings`` of reading the submission come first in the answer. ``form`` is the submission as it came:
        equal bytes have to mean an equal submission and equal warnings. ``if_match``: the version of the person
        that holds the record, as the client has seen it; ``create_only``: nobody holds it yet. Raises
        ``PreconditionFailed`` otherwise.
        """
        if not self.enrolls(named=submission.key is not None, wish=enroll):
            return await self._query(submission, warnings, form, explain=explain)
        if submission.key is not None:  # what is refused is none of an outside provider's business
            await self._enrollment.check(submission.key, if_match, create_only=create_only)
        (ready,) = await introduced([submission], self._prepare, self._provider)
        if isinstance(ready, MpiError):
            raise ready
        async with self._enrolling:
            found = await self._register(
                self._enrollment,
                ready,
                actor,
                explain=explain,
                if_match=if_match,
                create_only=create_only,
            )
        return replace(found, warnings=(*warnings, *found.warnings)) if warnings else found

    async def batch(
        self,
        rows: Iterable[BatchRow],
        *,
        enroll: bool | None,
        actor: str,
        explain: bool = False,
    ) -> AsyncIterator[RowAnswer]:
        """Answers in order. Rows are committed in groups; a row that fails leaves the others alone."""

        def enrolling(row: Submission | Prepared) -> bool:
            return self.enrolls(named=row.key is not None, wish=enroll)

        waiting, group = iter(rows), list[BatchRow]()
        while group := [*group, *islice(waiting, self._batch_size - len(group))]:
            group = await introduced(group, self._prepare, self._provider, enrolling)
            answers = await self._group(group, actor, enrolling, explain=explain)
            for answer in answers:
                yield answer
            group = group[len(answers) :]

    async def _group(
        self,
        rows: list[BatchRow],
        actor: str,
        enrolling: Callable[[Submission | Prepared], bool],
        *,
        explain: bool,
    ) -> list[RowAnswer]:
        """The answers to the first of the rows, or to all: who waits to write gets a turn before long."""
        if not any(not isinstance(row, MpiError) and enrolling(row) for row in rows):
            return await answer_rows(rows, self._query, explain=explain)

        async def answer(row: Submission | Prepared, *, explain: bool) -> MatchAnswer:
            if enrolling(row):
                return await self._register(self._enrollment_in_group, row, actor, explain=explain)
            # Inside the group it sees what nobody else may be told yet.
            return (await self._question(row, (), explain=explain).ask())[0]

        async with self._enrolling, self._store.group():
            return await answer_rows(rows, answer, explain=explain, seconds=LONGEST_GROUP_S)

    def enrolls(self, *, named: bool, wish: bool | None) -> bool:
        """Whether a submission is registered: as it wishes, otherwise by the policy.

        ``named``: it brings its source and source id.
        """
        if wish is not None:
            return wish
        return self._policy == "always" or (self._policy == "identified" and named)

    async def _query(
        self,
        submission: Submission | Prepared,
        warnings: Sequence[TraitWarning] = (),
        form: bytes | None = None,
        *,
        explain: bool,
    ) -> MatchAnswer:
        started = perf_counter()
        if self._recall is None or explain:
            found, _ = await self._question(submission, warnings, explain=explain).ask()
        else:
            found = await self._recall.answer(
                form or self._prepare.form(submission, warnings),
                lambda: self._question(submission, warnings, explain=False),
            )
        return replace(found, processing_time_ms=_milliseconds_since(started))

    def _question(
        self,
        submission: Submission | Prepared,
        warnings: Sequence[TraitWarning],
        *,
        explain: bool,
    ) -> Question:
        record, keys = self._prepare.record(submission, stored=False)
        return Question(
            lambda: self._prepare.meaning(record, warnings),
            lambda: self._ask(record, keys, warnings, explain=explain),
        )

    async def _ask(
        self,
        record: StoredRecord,
        keys: BlockingKeys,
        warnings: Sequence[TraitWarning],
        *,
        explain: bool,
    ) -> tuple[MatchAnswer, Resolution]:
        found = await self._reservation.query(record, keys)
        status, mpi_id = _STATUS[found.decision.outcome], found.decision.mpi_id
        explanation = self._provider.explain(record, found) if explain else None
        answer = match_answer(
            record,
            self._provider,
            found,
            status,
            mpi_id,
            warnings=warnings,
            explanation=explanation,
        )
        return answer, found

    async def _register(
        self,
        enrollment: Enrollment,
        submission: Submission | Prepared,
        actor: str,
        *,
        explain: bool,
        if_match: int | None = None,
        create_only: bool = False,
    ) -> MatchAnswer:
        started = perf_counter()
        if submission.key is not None and submission.key.source == ANONYMOUS:
            raise InvalidInput(
                f"the source {ANONYMOUS} is kept for patients without ids; name yours"
            )
        record, keys = self._prepare.record(submission)
        if submission.key is None:
            model = self._model()
            if self_weight(record.standard, model, 0) < model.thresholds.link:
                answer = match_answer(record, self._provider, None, "no_match", None)
                return replace(answer, reason=INSUFFICIENT)
            record = replace(record, key=self._prepare.anonymous_key(record))
        enrolled = await enrollment.register(
            record, keys, actor=actor, if_match=if_match, create_only=create_only
        )
        found = enrolled.found
        answer = match_answer(record, self._provider, found, enrolled.status, enrolled.mpi_id)
        if explain and found is None:  # a replay decides nothing
            found = await self._provider.resolve(record, keys, home=await self._home(enrolled))
        return replace(
            answer,
            event_id=enrolled.committed.event.event_id if enrolled.committed else None,
            task_id=enrolled.task_id,
            source=record.key.source,
            source_id=record.key.source_id,
            provisional=enrolled.provisional,
            processing_time_ms=_milliseconds_since(started),
            explanation=self._provider.explain(record, found) if explain and found else None,
        )

    async def _home(self, enrolled: Enrolled) -> PersonState | None:
        return None if enrolled.mpi_id is None else await self._store.person(enrolled.mpi_id)

    async def search(
        self, submission: Submission, limit: int = 10
    ) -> tuple[tuple[LikelyView, ...], Warnings]:
        """Ranked candidates, and what of the submission could not be used; never enrolls."""
        record, keys = self._prepare.record(submission, stored=False)
        found = await self._provider.search(record, keys, limit)
        return tuple(map(likely_view, found)), _warnings_of(record)

    async def explain(
        self, left: Submission | RecordKey, right: Submission | RecordKey
    ) -> tuple[Explanation, Warnings]:
        """Why two records, stored or given in full, are or are not one person.

        And what of those given could not be used: a field is named after its side, as in ``left.ssn``.
        """
        one, of_one = await self._side(left, "left")
        other, of_other = await self._side(right, "right")
        person = Neighbour(other.mpi_id or "", (other,))
        size = (await self._store.statistics())["records"]
        found = explain_person(one.standard, person, self._model(), size)
        return replace(found, mpi_id=other.mpi_id), of_one + of_other

    async def _side(self, side: Submission | RecordKey, name: str) -> tuple[StoredRecord, Warnings]:
        if not isinstance(side, Submission):  # whoever stored it was told then
            return await current_record(self._store, side), ()
        record, _ = self._prepare.record(side, stored=False)
        return record, _warnings_of(record, f"{name}.")

    async def get_record(self, key: RecordKey) -> RecordView:
        """The current version of a registration. Raises ``NotFound`` or ``Gone``."""
        record = await current_record(self._store, key)
        person = await self._store.person(record.mpi_id or "")
        return record_view(
            record,
            person_version=person.version if person else None,
            proposed=waiting_version(await self._store.versions(key)),
        )

    async def delete_record(
        self, key: RecordKey, *, actor: str, if_match: int | None = None
    ) -> ChangeAnswer:
        """Retire a registration and what was asked about it; with its last record the person retires, without alias."""
        async with self._enrolling, self._store.group():
            record = await current_record(self._store, key)
            person = await self._store.person(record.mpi_id or "")
            check_version(if_match, person.version if person else None)
            gone = ((person.mpi_id, None),) if person and len(person.records) == 1 else ()
            change = IdentityChange(
                kind=EventKind.DELETED,
                at=self._clock(),
                actor=actor,
                record=replace(record, status=RecordStatus.DELETED, received_at=self._clock()),
                moves=(RecordMove(key, record.mpi_id, None),),
                retire=gone,
                task_updates=await withdrawn(self._store, record),
                expected_versions=expected(record.mpi_id or "", if_match),
            )
            committed = await self._store.commit(change)
        return ChangeAnswer(
            committed.event.event_id, record.mpi_id, tuple(mpi_id for mpi_id, _ in gone)
        )

    async def person(self, mpi_id: str, as_of: datetime | None = None) -> PersonView:
        """A person, aliases followed; with ``as_of`` what the id named then. Raises ``NotFound`` or ``Gone``."""
        asked = _canonical(mpi_id)
        if await self._store.person(asked) is None:
            raise NotFound("no person has this mpi_id")
        state = (
            await surviving_person(self._store, asked)
            if as_of is None
            else await person_at(self._store, asked, as_of)
        )
        if not state.records:
            raise Gone("the person is retired; its history remains")
        tasks = await self._store.undecided(state.mpi_id) if as_of is None else ()
        return person_view(state, asked, tasks)

    async def person_version(self, mpi_id: str) -> int:
        """The version of the person that an id or alias names now. Raises ``NotFound``."""
        return (await surviving_person(self._store, _canonical(mpi_id))).version

    async def history(self, mpi_id: str) -> tuple[Event, ...]:
        """Everything that ever touched a person, oldest first. Raises ``NotFound``."""
        asked = _canonical(mpi_id)
        if await self._store.person(asked) is None:
            raise NotFound("no person has this mpi_id")
        return await history_of(self._store, asked)

    async def events(self, after: int, limit: int) -> tuple[Event, ...]:
        """The feed of identity changes after a sequence number. Raises ``Conflict`` for one that is yet to come."""
        found = await self._store.events(after, limit)
        if not found and after and after > (last := (await self.statistics())["events"]):
            raise Conflict(
                "the feed ends before this event: the index was restored to an earlier state; "
                "read what you follow anew, then go on after the last event",
                last=last,
            )
        return found

    async def statistics(self) -> dict[str, int]:
        """Counts of records, persons, open tasks and events."""
        return await self._store.statistics()

    def crosswalk(self) -> AsyncGenerator[tuple[RecordKey, str], None]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return self._store.crosswalk()


def _warnings_of(record: StoredRecord, place: str = "") -> Warnings:
    return tuple(TraitWarning(place + field, code) for field, code in record.warnings)


def _milliseconds_since(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)


def _canonical(mpi_id: str) -> str:
    found = parse_mpi_id(mpi_id)
    if found is None:
        raise NotFound("this is no mpi_id: its form or its check character is wrong")
    return found
