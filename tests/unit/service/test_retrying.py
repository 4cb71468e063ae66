"""Attempts that came too late are repeated, one at a time."""

from __future__ import annotations

import asyncio

import pytest

from mpi.errors import ConcurrentChange, PreconditionFailed
from mpi.service import retrying as module
from mpi.service.retrying import Retrying


class Neighbourhood:
    """What all attempts decide on: whoever began before the last change comes too late."""

    def __init__(self) -> None:
        self.changes = 0
        self.attempts = 0

    async def attempt(self) -> int:
        """Read, take a while, and write unless somebody else has written."""
        self.attempts += 1
        seen = self.changes
        await asyncio.sleep(0.001)
        if seen != self.changes:
            raise ConcurrentChange("somebody was faster")
        self.changes += 1
        return self.changes


async def test_many_at_once_are_repeated_a_few_times_and_not_each_because_of_all_others() -> None:
    shared, late = Neighbourhood(), list[None]()
    retrying = Retrying(lambda: late.append(None))
    done = await asyncio.gather(*(retrying.run(shared.attempt) for _ in range(64)))
    assert sorted(done) == list(range(1, 65))
    assert shared.attempts == 64 + len(late)
    assert len(late) == 63, "everybody but the first was late once, and then had a turn"


async def test_who_is_always_late_gives_up_and_lets_the_next_one_in() -> None:
    late = list[None]()
    retrying = Retrying(lambda: late.append(None))

    async def never() -> None:
        raise ConcurrentChange("somebody was faster")

    with pytest.raises(ConcurrentChange):
        await retrying.run(never)
    assert len(late) > 10
    shared = Neighbourhood()
    await asyncio.gather(*(retrying.run(shared.attempt) for _ in range(2)))
    assert shared.changes == 2


async def test_only_what_may_be_late_is_repeated() -> None:
    late = list[None]()
    retrying = Retrying(lambda: late.append(None))
    attempts = 0

    async def attempt() -> None:
        nonlocal attempts
        attempts += 1
        raise PreconditionFailed("another version")

    with pytest.raises(PreconditionFailed):
        await retrying.run(attempt)
    assert (attempts, late) == (1, [])
    with pytest.raises(PreconditionFailed):
        await retrying.run(attempt, (PreconditionFailed,))
    assert attempts > 10


async def test_a_turn_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder may wait for this very attempt, or for an outside provider."""
    monkeypatch.setattr(module, "_LONGEST_WAIT_FOR_TURN_S", 0.01)
    retrying = Retrying(lambda: None)
    finished, holding = asyncio.Event(), asyncio.Event()
    tries = {"holder": 0, "other": 0}

    async def holder() -> None:
        tries["holder"] += 1
        if tries["holder"] == 1:
            raise ConcurrentChange("somebody was faster")
        holding.set()
        await finished.wait()

    async def other() -> None:
        tries["other"] += 1
        if tries["other"] == 1:
            raise ConcurrentChange("somebody was faster")
        finished.set()

    waiting = asyncio.create_task(retrying.run(holder))
    await holding.wait()
    await asyncio.wait_for(retrying.run(other), 5)
    await waiting


async def test_who_goes_away_while_it_has_the_turn_gives_it_back() -> None:
    retrying = Retrying(lambda: None)
    holding = asyncio.Event()
    tries = 0

    async def attempt() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ConcurrentChange("somebody was faster")
        holding.set()
        await asyncio.Event().wait()

    gone = asyncio.create_task(retrying.run(attempt))
    await holding.wait()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    shared = Neighbourhood()
    # Less than a turn is waited for.
    await asyncio.wait_for(asyncio.gather(*(retrying.run(shared.attempt) for _ in range(3))), 2)
