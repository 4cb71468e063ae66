"""One call about a registration for everybody who wants to know, and nobody is worse off for sharing it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import pytest

from mpi.domain.identity import Told
from mpi.domain.record import RecordKey
from mpi.providers.hybrid import shared_calls
from mpi.providers.hybrid.shared_calls import SharedCalls

KEY = RecordKey("lab", "1")
LINKED = Told("verato", "LINKED", link_id="L1")
SILENT = Told("verato", "UNAVAILABLE", answered=False)
Ask = Callable[[], Coroutine[Any, Any, Told]]


class Verato:
    """Says what it is told to say as soon as it may; counts what it was asked and what was given up."""

    def __init__(self) -> None:
        self.asked = self.given_up = 0
        self.may_answer = asyncio.Event()

    def says(self, told: Told) -> Ask:
        async def ask() -> Told:
            self.asked += 1
            try:
                await self.may_answer.wait()
            except asyncio.CancelledError:
                self.given_up += 1
                raise
            return told

        return ask


async def told(
    calls: SharedCalls, ask: Ask, within: float = 60, digest: bytes = b"1"
) -> Told | None:
    return await calls.told(KEY, digest, monotonic() + within, ask)


async def asking(calls: SharedCalls, ask: Ask) -> asyncio.Task[Told | None]:
    task = asyncio.create_task(told(calls, ask))
    await asyncio.sleep(0)
    return task


async def test_all_who_ask_at_once_share_one_call() -> None:
    calls, verato = SharedCalls(), Verato()
    tasks = [await asking(calls, verato.says(LINKED)) for _ in range(3)]
    verato.may_answer.set()
    assert await asyncio.gather(*tasks) == [LINKED] * 3
    assert verato.asked == 1


async def test_a_link_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_calls, "_REMEMBERED_S", 0.05)
    calls, verato = SharedCalls(), Verato()
    verato.may_answer.set()
    assert [await told(calls, verato.says(LINKED)) for _ in range(2)] == [LINKED] * 2
    assert verato.asked == 1
    await asyncio.sleep(0.1)
    assert await told(calls, verato.says(LINKED)) == LINKED
    assert verato.asked == 2


async def test_other_contents_are_another_call() -> None:
    calls, verato = SharedCalls(), Verato()
    first = await asking(calls, verato.says(LINKED))
    second = asyncio.create_task(told(calls, verato.says(SILENT), digest=b"2"))
    await asyncio.sleep(0)
    verato.may_answer.set()
    assert (await first, await second) == (LINKED, SILENT)
    assert verato.asked == 2


async def test_who_can_wait_longer_than_the_first_asks_oneself() -> None:
    calls, verato = SharedCalls(), Verato()
    impatient = await asking(calls, verato.says(SILENT))
    patient = await asking(calls, verato.says(LINKED))
    verato.may_answer.set()
    assert (await impatient, await patient) == (SILENT, LINKED)
    assert verato.asked == 2


async def test_who_can_wait_no_longer_leaves_the_call_to_the_others() -> None:
    calls, verato = SharedCalls(), Verato()
    patient = await asking(calls, verato.says(LINKED))
    assert await told(calls, verato.says(LINKED), within=0.01) is None
    verato.may_answer.set()
    assert await patient == LINKED
    assert (verato.asked, verato.given_up) == (1, 0)


async def test_a_call_ends_with_the_last_who_wanted_it() -> None:
    calls, verato = SharedCalls(), Verato()
    first, second = [await asking(calls, verato.says(LINKED)) for _ in range(2)]
    first.cancel()
    await asyncio.wait([first])
    assert verato.given_up == 0
    second.cancel()
    third = await asking(calls, verato.says(LINKED))  # while the call is being given up
    verato.may_answer.set()
    assert await third == LINKED
    assert (verato.asked, verato.given_up) == (2, 1)


async def test_a_defect_is_everybodys_and_not_remembered() -> None:
    calls, verato = SharedCalls(), Verato()

    async def broken() -> Told:
        await verato.may_answer.wait()
        raise RuntimeError("broken")

    tasks = [await asking(calls, broken) for _ in range(2)]
    verato.may_answer.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in found] == [RuntimeError] * 2
    assert await told(calls, verato.says(LINKED)) == LINKED
