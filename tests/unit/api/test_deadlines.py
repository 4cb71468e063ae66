"""One timer ends what takes too long, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from mpi.api.deadlines import Deadlines


async def test_a_task_is_cancelled_when_its_time_is_over() -> None:
    deadlines = Deadlines(0.05)

    async def work() -> bool:
        task = asyncio.current_task()
        assert task
        deadlines.start(task)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return deadlines.has_ended(task) and task.cancelling() == 0
        return False

    assert await asyncio.wait_for(work(), 5)


async def test_a_released_task_goes_on() -> None:
    deadlines = Deadlines(0.02)
    task = asyncio.create_task(asyncio.sleep(0.1, "done"))
    deadlines.start(task)
    deadlines.release(task)
    assert await task == "done"


async def test_a_restart_gives_the_whole_time_anew() -> None:
    deadlines = Deadlines(0.2)
    ended = asyncio.create_task(asyncio.sleep(30))
    again = asyncio.create_task(asyncio.sleep(30))
    deadlines.start(again)
    deadlines.start(ended)
    await asyncio.sleep(0.12)
    deadlines.start(again)
    with pytest.raises(asyncio.CancelledError):
        await ended
    assert not again.done()
    with pytest.raises(asyncio.CancelledError):
        await again


async def test_somebody_elses_cancellation_is_not_taken_for_a_deadline() -> None:
    deadlines = Deadlines(30)
    task = asyncio.create_task(asyncio.sleep(30))
    deadlines.start(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not deadlines.has_ended(task)


async def test_the_timer_stops_when_nobody_is_left_and_starts_again() -> None:
    deadlines = Deadlines(0.05)
    for _ in range(2):
        task = asyncio.create_task(asyncio.sleep(30))
        deadlines.start(task)
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.02)
