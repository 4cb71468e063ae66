"""One number of a patient replaced by another of the same source: of two registrations one is left."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from mpi.domain.errand import Errand, ErrandKind, Lane
from mpi.domain.identity import (
    Assertion,
    AssertionKind,
    EventKind,
    IdentityChange,
    RecordMove,
)
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import Conflict
from mpi.service.answers import ChangeAnswer
from mpi.service.decisions import APART, at_once, named
from mpi.service.lookup import check_version, current_record
from mpi.service.task_settlement import withdrawn
from mpi.service.undoing import Undoing


class Replacing(Undoing):
    """Human decisions, and what a source decides about numbers of its own."""

    @at_once
    async def replace_number(
        self,
        key: RecordKey,
        by: str,
        *,
        reason: str,
        actor: str,
        override: bool = False,
        if_match: int | None = None,
    ) -> ChangeAnswer:
        """Delete a registration that goes on under the number ``by``; two persons become one.

        That merge can be undone as long as anybody is left who came with the number; the number may be registered
        again, unless an index elsewhere refuses that. ``if_match`` is the version of the person
        that holds the registration. Raises ``Conflict`` as a merge does, and against what a move has said;
        ``PreconditionFailed``.
        """
        gone = await current_record(self._store, key)
        kept = await current_record(self._store, RecordKey(key.source, by))
        if kept.key == gone.key:
            raise Conflict("a number cannot be replaced by itself")
        holder = await self._active(gone.mpi_id or "")
        check_version(if_match, holder.version)
        home = kept.mpi_id or ""
        company = {r.key for r in (await self._active(home)).records}
        apart = await self._handed_on(gone.key, kept.key, company, reason, actor)
        retired: tuple[str, ...] = ()
        if holder.mpi_id != home:
            against = await self._parted([r.key for r in holder.records], company)
            if (
                against and not override
            ):  # a source is no steward: it joins nobody whom a move has parted
                raise Conflict(APART, assertions=named(against))
            merge = await self.merge(
                home, holder.mpi_id, reason=reason, actor=actor, override=override, beside=apart
            )
            retired, apart = merge.retired, ()
        gone = replace(gone, mpi_id=home)
        told = self._untold is not None and key.source not in self._untold
        errand = Errand(ErrandKind.RETIRE, (kept.key, gone.key), Lane.REAL_TIME)
        answer = await self._apply(
            IdentityChange(
                kind=EventKind.DELETED,
                at=self._clock(),
                actor=actor,
                reason=reason,
                record=replace(gone, status=RecordStatus.DELETED, received_at=self._clock()),
                moves=(RecordMove(gone.key, home, None),),
                task_updates=await withdrawn(self._store, gone),
                assertions=apart,
                errands=(errand,) if told else (),
            )
        )
        return replace(answer, mpi_id=home, retired=retired)

    async def _handed_on(
        self, gone: RecordKey, kept: RecordKey, company: Set[RecordKey], reason: str, actor: str
    ) -> tuple[Assertion, ...]:
        """Who is not the one number is not the other: with the first deleted nothing else would keep them apart.

        Beside a merge it is a part of that: it ends with its undoing. Of those in whose ``company`` the other number is
        it is not said: a merge against what was stated of them is refused, or overrides it.
        """
        stored = await self._store.assertions([gone, kept])
        said = {a.other(kept) for a in stored}
        others = [
            other
            for a in stored
            if a.kind is AssertionKind.NOT_SAME and (other := a.other(gone)) is not None
            if other not in company and other not in said
        ]
        now = self._clock()
        return tuple(
            Assertion(AssertionKind.NOT_SAME, kept, other, actor, reason, now) for other in others
        )
