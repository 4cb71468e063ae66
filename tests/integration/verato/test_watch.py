"""Whether Verato can be asked is learnt from the calls that are made anyway: a probe costs a call as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from mpi.errors import ProviderUnavailable
from mpi.providers.verato.budget import Budget
from mpi.providers.verato.client import BREAKER, Limits
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.payload import PayloadForm
from mpi.providers.verato.watch import Watch
from mpi.stores.sqlite.store import open_store
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_client import connected, record

ADA = record(registrations(300)[1][0], "1")
MINUTE = 60.0


class Clock:
    """The monotonic one, moved by a test: the time of calls is not moved."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return monotonic() + self.ahead


@pytest.fixture
def budget(tmp_path: Path) -> Iterator[Budget]:
    with closing(open_store(tmp_path / "index.sqlite3", b"fingerprint")) as store:
        yield Budget(store, 5_000, lambda: datetime.now(UTC))


@pytest.fixture
async def index(verato: Verato) -> AsyncIterator[VeratoIndex]:
    async with connected(verato) as index:
        yield index


def probes(verato: Verato) -> int:
    return verato.calls("nativeIdQuery")


async def wrong(watch: Watch) -> str:
    with pytest.raises(ProviderUnavailable) as found:
        await watch.check()
    return found.value.detail


async def test_who_is_asked_anyway_is_not_probed(verato: Verato, index: VeratoIndex) -> None:
    clock = Clock()
    clock.ahead = -MINUTE
    watch = Watch(index, SOURCE, clock)
    await watch.check()
    clock.ahead = 0
    await index.query(ADA)
    await watch.check()
    assert probes(verato) == 1
    clock.ahead = MINUTE
    await watch.check()
    assert probes(verato) == 2


async def test_a_failure_is_told_as_soon_as_somebody_meets_with_it(
    verato: Verato, index: VeratoIndex
) -> None:
    watch = Watch(index, SOURCE, Clock())
    await watch.check()
    verato.plan("503", times=None)
    await index.query(ADA)
    assert "trouble of its own" in await wrong(watch)
    verato.clear()
    await index.query(ADA)
    await watch.check()
    assert probes(verato) == 1


async def test_what_is_refused_of_one_patient_is_no_trouble_of_veratos(
    verato: Verato, index: VeratoIndex
) -> None:
    watch = Watch(index, SOURCE, Clock())
    await watch.check()
    verato.plan("success_false:A rule is broken", "postIdentity")
    await index.post(ADA, new=True)
    await watch.check()


async def test_a_source_that_is_refused_stays_told_while_others_are_answered(
    verato: Verato,
) -> None:
    async with connected(verato, form=PayloadForm(sources={"LAB": "NOT-THERE"})) as index:
        watch = Watch(index, "LAB", Clock())
        assert "VERATO_SOURCE_MAP" in await wrong(watch)
        await index.query(ADA)
        assert "VERATO_SOURCE_MAP" in await wrong(watch)


async def test_probes_use_up_little_of_a_budget(verato: Verato, budget: Budget) -> None:
    clock = Clock()
    async with connected(verato, budget=budget) as index:
        watch = Watch(index, SOURCE, clock)
        for _ in range(30 * 24):  # looked at each hour of a month
            await watch.check()
            clock.ahead += 60 * MINUTE
    assert 1 < probes(verato) <= 5_000 / 100 + 1


async def test_trouble_that_is_over_is_seen_after_as_long_as_it_lasted(
    verato: Verato, tmp_path: Path
) -> None:
    clock = Clock()
    with closing(open_store(tmp_path / "index.sqlite3", b"fingerprint")) as store:
        budget = Budget(store, 1_000, lambda: datetime.now(UTC))  # a probe every third day
        async with connected(verato, budget=budget, breaker=replace(BREAKER, pause=0)) as index:
            watch = Watch(index, SOURCE, clock)
            await watch.check()
            verato.plan("503", times=None)
            await index.query(ADA)
            before = probes(verato)
            for _ in range(12 * 24):  # looked at every fifth minute of a day
                await wrong(watch)
                clock.ahead += 5 * MINUTE
            assert before < probes(verato) < before + 30
            verato.clear()
            for _ in range(12 * 24):
                clock.ahead += 5 * MINUTE
                try:
                    await watch.check()
                except ProviderUnavailable:
                    continue
                break
            else:
                pytest.fail("a day later it is not seen yet")


async def test_a_count_that_cannot_be_kept_is_no_trouble_of_veratos(
    verato: Verato, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(tmp_path / "index.sqlite3", b"fingerprint")
    budget = Budget(store, 1_000, lambda: datetime.now(UTC))
    async with connected(verato, budget=budget) as index:
        watch = Watch(index, SOURCE, Clock())
        store.close()
        await watch.check()
    assert not caplog.records


async def test_a_call_that_ends_before_its_turn_costs_nothing(
    verato: Verato, tmp_path: Path
) -> None:
    with closing(open_store(tmp_path / "index.sqlite3", b"fingerprint")) as store:
        budget = Budget(store, 2, lambda: datetime.now(UTC))
        slow = Limits(tps=0.1, start=1, concurrency=1)
        async with connected(verato, budget=budget, limits=slow) as index:
            await index.query(ADA)
            waiting = asyncio.create_task(index.query(ADA))
            await asyncio.sleep(0.2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await budget.take()
            assert not await budget.take()


async def test_a_budget_that_is_spent_is_told_without_a_probe(
    verato: Verato, tmp_path: Path
) -> None:
    with closing(open_store(tmp_path / "index.sqlite3", b"fingerprint")) as store:
        budget = Budget(store, 2, lambda: datetime.now(UTC))
        async with connected(verato, budget=budget) as index:
            watch = Watch(index, SOURCE, Clock())
            await watch.check()
            for _ in range(2):
                await index.query(ADA)
            assert "MPI_HYBRID_MONTHLY_CALLS" in await wrong(watch)
    assert sum(verato.state()["calls"].values()) == 2
