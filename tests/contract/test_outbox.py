"""What every outbox must do: nothing that waits is lost, and one worker runs an errand at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from mpi.domain.errand import Errand, ErrandKind, Lane
from mpi.errors import ConcurrentChange
from tests.contract.changes import change, create, created, key, move
from tests.contract.conftest import Store

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)
EXPIRED = timedelta(0)


def post(source_id: str, lane: Lane = Lane.BATCH, due_at: datetime | None = None) -> Errand:
    return Errand(ErrandKind.POST, (key(source_id),), lane, due_at)


def align(*source_ids: str) -> Errand:
    return Errand(ErrandKind.ALIGN, tuple(map(key, source_ids)), Lane.REAL_TIME)


async def give_up(store: Store) -> None:
    async with store.group():
        await store.queue([post("3")])
        raise RuntimeError("given up")


def now() -> datetime:
    return datetime.now(UTC)


class TestQueueing:
    async def test_an_errand_is_queued_by_the_change_that_causes_it(self, store: Store) -> None:
        await store.commit(create("1", errands=(post("1"),)))
        (leased,) = await store.due(HOUR, limit=9)
        assert (leased.errand.kind, leased.errand.records) == (ErrandKind.POST, (key("1"),))
        assert (leased.attempts, leased.reason) == (0, None)

    async def test_a_refused_change_queues_nothing(self, store: Store) -> None:
        first = await created(store, "1")
        wrong = change(moves=(move("1", "MPI-0", first),), errands=(post("1"),))
        for changes in ([wrong], [create("2", errands=(post("2"),)), wrong]):
            with pytest.raises(ConcurrentChange):
                await store.commit(*changes)
        assert await store.waiting() == ()

    async def test_equal_errands_are_queued_once(self, store: Store, other: Store) -> None:
        errands = [post("1"), post("2"), align("1", "2")]
        assert await store.queue(errands) == 3
        assert await other.queue([*errands, align("2", "1")]) == 1
        waiting = {w.kind: w.count for w in await store.waiting()}
        assert waiting == {ErrandKind.POST: 2, ErrandKind.ALIGN: 2}

    async def test_what_waits_tells_its_lane_until_it_is_done(
        self, store: Store, other: Store
    ) -> None:
        assert await store.lane_of(post("1")) is None
        await store.queue([post("1"), post("2", Lane.REAL_TIME)])
        await store.queue([post("2")])
        lanes = [await other.lane_of(post(source_id)) for source_id in ("1", "2", "3")]
        assert lanes == [Lane.BATCH, Lane.REAL_TIME, None]
        for leased in await store.due(HOUR, limit=2):
            assert await other.lane_of(leased.errand) is not None
            await store.done(leased)
            assert await other.lane_of(leased.errand) is None

    async def test_a_group_sees_what_it_has_queued(self, store: Store, other: Store) -> None:
        async with store.group():
            await store.commit(create("1", errands=(post("1"),)))
            assert await store.lane_of(post("1")) is Lane.BATCH
            assert await other.lane_of(post("1")) is None

    async def test_the_oldest_tells_since_when_it_waits(self, store: Store) -> None:
        before = now()
        await store.queue([post("1")])
        await store.queue([post("2")])
        (waiting,) = await store.waiting()
        first, second = await store.due(HOUR, limit=2)
        assert before - timedelta(seconds=1) < waiting.oldest <= now()
        assert waiting.oldest == min(first.created_at, second.created_at)

    async def test_the_more_urgent_wish_counts(self, store: Store) -> None:
        await store.queue([post("1", due_at=now() + HOUR)])
        assert await store.due(HOUR) == ()
        await store.queue([post("1", Lane.REAL_TIME)])
        (leased,) = await store.due(HOUR, lane=Lane.REAL_TIME)
        assert leased.errand.records == (key("1"),)

    async def test_in_a_group_all_or_nothing_is_queued(self, store: Store, other: Store) -> None:
        async with store.group():
            await store.commit(create("1", errands=(post("1"),)))
            await store.queue([post("2")])
            assert sum(w.count for w in await store.waiting()) == 2
            (leased,) = await store.due(HOUR)
            await store.done(leased)
        assert sum(w.count for w in await other.waiting()) == 1
        with pytest.raises(RuntimeError, match="given up"):
            await give_up(store)
        async with store.group():
            await store.queue([post("4")])
        assert sum(w.count for w in await other.waiting()) == 2


class TestLeasing:
    async def test_one_worker_gets_an_errand(self, store: Store, other: Store) -> None:
        await store.queue([post(str(n)) for n in range(12)])
        found = await asyncio.gather(
            *(worker.due(HOUR, limit=5) for worker in (store, other, store, other))
        )
        taken = [leased.errand.records for batch in found for leased in batch]
        assert len(taken) == len(set(taken)) == 12
        assert await store.due(HOUR) == ()

    async def test_the_urgent_lane_goes_first(self, store: Store) -> None:
        await store.queue([post("1"), post("2", Lane.REAL_TIME), post("3")])
        assert [e.errand.records for e in await store.due(HOUR, 9, Lane.REAL_TIME)] == [(key("2"),)]
        await store.queue([post("4", Lane.REAL_TIME)])
        found = await store.due(HOUR, limit=9)
        assert found[0].errand.records == (key("4"),)
        assert {e.errand.records for e in found[1:]} == {(key("1"),), (key("3"),)}

    async def test_whoever_dies_leaves_the_errand_to_others(
        self, store: Store, other: Store
    ) -> None:
        await store.queue([post("1")])
        (dead,) = await store.due(EXPIRED)
        (leased,) = await other.due(HOUR)
        assert leased.errand == dead.errand
        await store.done(dead)
        await store.later(dead, now())
        assert await store.due(HOUR) == ()
        await other.done(leased)
        assert await store.waiting() == ()

    async def test_whoever_lives_keeps_the_errand(self, store: Store, other: Store) -> None:
        await store.queue([post("1")])
        (leased,) = await store.due(EXPIRED)
        assert await store.renew(leased, HOUR)
        assert await other.due(HOUR) == ()
        assert await store.done(leased)
        assert not await store.renew(leased, HOUR)
        assert await store.waiting() == ()

    async def test_a_clock_that_was_ahead_keeps_nothing_waiting(
        self, store: Store, other: Store
    ) -> None:
        """What it noted lies further ahead than anything is ever put off."""
        await store.queue([post("1", due_at=now() + YEAR), post("2", due_at=now() + DAY)])
        (leased,) = await store.due(YEAR)
        assert leased.errand.records == (key("1"),)
        (again,) = await other.due(DAY, limit=9)
        assert again.errand == leased.errand
        assert await store.due(HOUR, limit=9) == ()

    async def test_what_is_anothers_by_now_is_told_so(self, store: Store, other: Store) -> None:
        await store.queue([post("1")])
        (late,) = await store.due(EXPIRED)
        (leased,) = await other.due(HOUR)
        assert not await store.renew(late, HOUR)
        assert not await store.later(late, now())
        assert not await store.done(late)
        assert await other.later(leased, now(), "no_connection")
        assert not await other.done(leased)
        (again,) = await store.due(HOUR)
        await other.queue([post("1")])
        assert await store.done(again)  # once more, but this time is over
        assert not await store.done(again)

    async def test_a_failed_errand_is_put_off_with_its_reason(self, store: Store) -> None:
        await store.queue([post("1"), post("2")])
        first, second = await store.due(HOUR, limit=2)
        await store.later(first, now() - HOUR, "no_connection")
        await store.later(second, now() + HOUR, "no_connection")
        (again,) = await store.due(HOUR, limit=2)
        assert again.errand.records == first.errand.records
        assert (again.attempts, again.reason) == (1, "no_connection")
        assert again.created_at == first.created_at

    async def test_what_was_not_even_tried_has_not_failed(self, store: Store) -> None:
        await store.queue([post("1")])
        (leased,) = await store.due(HOUR)
        await store.later(leased, now(), "no_connection")
        (leased,) = await store.due(HOUR)
        await store.later(leased, now(), "breaker_open", failed=False)
        (again,) = await store.due(HOUR)
        assert (again.attempts, again.reason) == (1, "breaker_open")

    async def test_what_is_queued_while_it_is_run_is_run_once_more(
        self, store: Store, other: Store
    ) -> None:
        await store.queue([post("1")])
        (leased,) = await store.due(HOUR)
        assert await other.queue([post("1")]) == 0
        assert await other.due(HOUR) == ()
        await store.done(leased)
        (again,) = await other.due(HOUR)
        await other.done(again)
        assert await store.waiting() == ()

    async def test_what_is_queued_while_it_fails_is_not_put_off(
        self, store: Store, other: Store
    ) -> None:
        await store.queue([post("1")])
        (leased,) = await store.due(HOUR)
        await other.queue([post("1")])
        await store.later(leased, now() + HOUR, "refused")
        (again,) = await other.due(HOUR)
        assert (again.attempts, again.reason) == (1, "refused")
        await other.later(again, now() + HOUR, "refused")
        assert await store.due(HOUR) == ()

    async def test_an_errand_that_goes_on_keeps_its_mark(self, store: Store, other: Store) -> None:
        listening = Errand(ErrandKind.LISTEN, mark="1")
        await store.queue([listening])
        assert await other.queue([Errand(ErrandKind.LISTEN, mark="0")]) == 0
        (leased,) = await store.due(HOUR)
        assert leased.errand.mark == "1"
        await store.later(leased, now(), "no_connection")
        (leased,) = await store.due(HOUR)
        assert (leased.errand.mark, leased.attempts) == ("1", 1)
        await store.later(leased, now(), mark="2")
        (leased,) = await other.due(HOUR)
        assert (leased.errand.mark, leased.attempts) == ("2", 0)
        (waiting,) = await store.waiting()
        assert (waiting.kind, waiting.mark) == (ErrandKind.LISTEN, "2")
