"""The calls of a month are counted as they are made, however many come at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mpi.providers.verato.budget import Budget
from mpi.stores.sqlite.store import SqliteStore, open_store
from tests.support.api import serving
from tests.support.hybrid import MADE, hybrid
from tests.support.verato import SOURCE, Verato

MONTH, MOST = "2026-12", 5000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(open_store(tmp_path / "index.sqlite3", b"fingerprint")) as store:
        yield store


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 12, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_those_who_come_at_once_draw_one_share_after_the_other(store: SqliteStore) -> None:
    left: list[int] = []
    budget = Budget(store, MOST, Clock(), left=left.append)
    assert all(await asyncio.gather(*(budget.take() for _ in range(101))))
    _, spent = await store.spend(MONTH, 0, MOST)
    assert spent == 150
    assert left[-1] == MOST - 101
    await budget.close()
    assert await store.spend(MONTH, 0, MOST) == (0, 101)


async def test_a_month_that_was_spent_is_asked_again_now_and_then(store: SqliteStore) -> None:
    """Another process returns at its end what it had reserved."""
    clock = Clock()
    budget, other = Budget(store, 2, clock), Budget(store, 2, clock)
    assert [await budget.take(), await other.take(), await budget.take()] == [True, True, False]
    other.give_back()
    await other.close()
    assert not await budget.take()
    clock.now += timedelta(minutes=2)
    assert await budget.take()
    assert not await budget.take()


async def test_a_batch_costs_the_calls_that_it_makes(verato: Verato, tmp_path: Path) -> None:
    limited = hybrid(verato, "verato_first", MPI_HYBRID_MONTHLY_CALLS=str(MOST))
    rows = [
        {k: v for k, v in row.items() if v} | {"source": SOURCE, "source_id": str(n)}
        for n, row in enumerate(MADE[:60])
    ]
    async with serving(tmp_path, **limited) as api:
        assert (await api.client.post("/mpi/batch", json={"patients": rows})).status_code == 200
        told = (await api.client.get("/metrics")).text
    made = sum(verato.state()["calls"].values())
    assert made >= len(rows)
    assert re.search(r"mpi_provider_calls_left (\d+)", told)[1] == str(MOST - made)  # type: ignore[index]
