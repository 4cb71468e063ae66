"""The shadow model waits its turn, and is counted as it agrees."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from mpi.domain.identity import Neighbour, StoredRecord
from mpi.errors import MpiError
from mpi.matching.decision import Decision, Outcome, decide
from mpi.matching.model import load_default_model
from mpi.matching.placeholders import DEFAULT
from mpi.ports import Judged
from mpi.service.preparation import Preparation
from mpi.service.shadow import OTHER_PERSON, WAITING, Shadow, outcomes
from tests.support.index import MARGA, submission

MODEL = load_default_model()
STRICT = replace(MODEL, thresholds=replace(MODEL.thresholds, link=60.0))


def stored(source_id: str) -> StoredRecord:
    prepare = Preparation(b"k" * 32, DEFAULT, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return prepare.record(submission(MARGA, source_id))[0]


def judged() -> Judged:
    record, persons = stored("1"), (Neighbour("MPI-1", (stored("2"),)),)
    decision = decide(record.standard, record.key, persons, (), MODEL, 1_000)
    assert decision.outcome is Outcome.LINK
    return Judged(record, persons, (), 1_000, decision)


async def test_decisions_are_repeated_after_the_caller_went_on() -> None:
    told: Counter[tuple[str, str]] = Counter()
    both = asyncio.Event()

    def tell(deciding: str, shadow: str) -> None:
        told[deciding, shadow] += 1
        if told.total() == 2:
            both.set()

    shadow = Shadow(lambda: STRICT, tell, lambda: None)
    shadow.observe(judged())
    shadow.observe(judged())
    assert not told
    await asyncio.wait_for(both.wait(), 30)
    assert told == {("link", "review"): 2}
    await shadow.close()


async def test_what_is_too_much_is_left_out_and_counted() -> None:
    skipped: list[int] = []
    shadow = Shadow(lambda: MODEL, lambda *_: None, lambda: skipped.append(1))
    case = judged()
    for _ in range(WAITING + 3):
        shadow.observe(case)
    assert len(skipped) == 3
    await shadow.close()


async def test_without_a_shadow_nothing_waits() -> None:
    told: list[str] = []
    shadow = Shadow(lambda: None, lambda *_: told.append("told"), lambda: told.append("skipped"))
    for _ in range(WAITING + 3):
        shadow.observe(judged())
    await shadow.close()
    assert not told


@pytest.mark.parametrize(
    ("deciding", "shadow", "expected"),
    [
        (Outcome.LINK, Outcome.LINK, ("link", OTHER_PERSON)),
        (Outcome.NEW, Outcome.NEW, ("new", "new")),
        (Outcome.REVIEW, Outcome.LINK, ("review", "link")),
    ],
)
def test_a_link_to_somebody_else_is_no_agreement(
    deciding: Outcome, shadow: Outcome, expected: tuple[str, str]
) -> None:
    assert outcomes(Decision(deciding, "a", None, ()), Decision(shadow, "b", None, ())) == expected


async def test_a_defect_of_the_shadow_is_told_until_it_works_again() -> None:
    is_broken, looked = True, asyncio.Event()

    def tell(*_outcomes: str) -> None:
        looked.set()
        if is_broken:
            raise ZeroDivisionError

    is_on = True
    shadow = Shadow(lambda: MODEL if is_on else None, tell, lambda: None)
    shadow.observe(judged())
    await asyncio.wait_for(looked.wait(), 30)
    await asyncio.sleep(0)  # until the loop has told that it ended
    with pytest.raises(MpiError):
        await shadow.check()
    is_on = False
    await shadow.check()
    is_on, is_broken = True, False
    looked.clear()
    shadow.observe(judged())
    await asyncio.wait_for(looked.wait(), 30)
    await shadow.check()
    await shadow.close()


async def test_a_defect_of_the_shadow_is_logged_once_until_it_works_again() -> None:
    looked = asyncio.Event()
    is_broken = iter((True, True, False, True))

    def tell(*_outcomes: str) -> None:
        looked.set()
        if next(is_broken):
            raise ZeroDivisionError

    shadow = Shadow(lambda: MODEL, tell, lambda: None)
    with capture_logs() as logs:
        for _ in range(4):
            looked.clear()
            shadow.observe(judged())
            await asyncio.wait_for(looked.wait(), 30)
            await asyncio.sleep(0)
    await shadow.close()
    assert [line["event"] for line in logs] == ["shadow_failing"] * 2
