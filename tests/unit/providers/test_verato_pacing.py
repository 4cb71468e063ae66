"""Turns to call Verato: people first, never more at once than allowed, and none lost."""

from __future__ import annotations

import asyncio

import pytest

from mpi.domain.errand import Lane
from mpi.providers.verato.pacing import NoTurn, OwnShare, Pacer
from mpi.resilience import TokenBucket

PATIENCE = 30.0


class Clock:
    """Goes on by ``step`` seconds whenever somebody looks at it."""

    def __init__(self, step: float = 1.0) -> None:
        self.now, self._step = 0.0, step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


def pacer(clock: Clock, concurrency: int = 1, tps: float = 1e6) -> Pacer:
    share = OwnShare(TokenBucket(most=tps, start=tps, ramp=0, now=0), clock)
    return Pacer(share, concurrency)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_people_go_before_batches_and_each_lane_in_its_order() -> None:
    turns = pacer(Clock())
    order: list[str] = []
    first = asyncio.Event()

    async def call(name: str, lane: Lane, until: asyncio.Event | None = None) -> None:
        async with turns.turn(lane, PATIENCE):
            order.append(name)
            if until is not None:
                await until.wait()

    calls = [asyncio.ensure_future(call("first", Lane.BATCH, first))]
    await settle()
    for number in (1, 2):
        calls.append(asyncio.ensure_future(call(f"batch {number}", Lane.BATCH)))
        calls.append(asyncio.ensure_future(call(f"person {number}", Lane.REAL_TIME)))
    await settle()
    assert turns.waiting == 4
    first.set()
    await asyncio.gather(*calls)
    assert order == ["first", "person 1", "person 2", "batch 1", "batch 2"]


async def test_no_more_than_allowed_call_at_once() -> None:
    turns = pacer(Clock(), concurrency=3)
    running, most = 0, 0

    async def call() -> None:
        nonlocal running, most
        async with turns.turn(Lane.REAL_TIME, PATIENCE):
            running += 1
            most = max(most, running)
            await settle()
            running -= 1

    await asyncio.gather(*(call() for _ in range(30)))
    assert most == 3


async def test_who_gives_up_takes_no_turn_with_him() -> None:
    turns = pacer(Clock())
    release = asyncio.Event()

    async def hold() -> None:
        async with turns.turn(Lane.REAL_TIME, PATIENCE):
            await release.wait()

    async def call() -> None:
        async with turns.turn(Lane.REAL_TIME, PATIENCE):
            await asyncio.sleep(0)

    holder = asyncio.ensure_future(hold())
    await settle()
    waiting = [asyncio.ensure_future(call()) for _ in range(3)]
    await settle()
    waiting[0].cancel()  # while waiting
    release.set()
    await asyncio.sleep(0)
    waiting[1].cancel()  # perhaps at the very moment of the turn
    await asyncio.wait_for(waiting[2], 5)
    await holder
    assert turns.waiting == 0
    await asyncio.wait_for(call(), 5)


async def test_nobody_waits_for_a_turn_that_cannot_come_in_time() -> None:
    turns = pacer(Clock(step=0), tps=2)

    async def call() -> None:
        async with turns.turn(Lane.REAL_TIME, 0.9):
            await asyncio.sleep(0)

    calls = [asyncio.ensure_future(call()) for _ in range(10)]
    await settle()
    assert turns.waiting <= 2
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, NoTurn) for each in done) >= 7


async def test_after_being_told_so_it_goes_on_at_half_the_rate() -> None:
    turns = pacer(Clock(step=0), tps=8)
    assert turns.rate == 8
    await turns.slow_down(1.0)
    assert turns.rate == 4
    with pytest.raises(NoTurn):
        async with turns.turn(Lane.REAL_TIME, 0.01):
            pass
