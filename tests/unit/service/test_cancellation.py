"""What goes on until it is cancelled ends then, also where a cancellation is lost on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from mpi.domain.errand import Errand, ErrandKind, LeasedErrand, Waiting
from mpi.matching.model import load_default_model
from mpi.ports import ModelStore, Outbox
from mpi.service.model_follower import ModelFollower
from mpi.service.outbox import Courier

NOW = datetime.now(UTC)
ERRAND = LeasedErrand(Errand(ErrandKind.POST), NOW, NOW, 0, None, 1, 1)


class Deaf:
    """A store in which the first cancellation of each task is lost; ``asked`` is set with every question."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.leased: tuple[LeasedErrand, ...] = ()
        self._lost: set[asyncio.Task[Any] | None] = set()

    async def _answer(self) -> None:
        self.asked.set()
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            if asyncio.current_task() in self._lost:
                raise
            self._lost.add(asyncio.current_task())

    async def last_activation(self) -> int:
        await self._answer()
        return 0

    async def due(self, *_: Any) -> Sequence[LeasedErrand]:
        await self._answer()
        return self.leased

    async def waiting(self) -> Sequence[Waiting]:
        await self._answer()
        return ()

    async def done(self, leased: LeasedErrand) -> None:
        await self._answer()


async def test_following_the_models_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpi.service.model_follower.PAUSE", 0.0)
    store = Deaf()
    follower = ModelFollower(cast("ModelStore", store), load_default_model())
    await follower.open()
    store.asked.clear()
    await store.asked.wait()
    async with asyncio.timeout(5):
        await follower.close()


@pytest.mark.parametrize("leased", [(), (ERRAND,)], ids=["idle", "busy"])
async def test_the_courier_ends(leased: tuple[LeasedErrand, ...]) -> None:
    store = Deaf()
    store.leased = leased

    async def run(_: LeasedErrand) -> None:
        return None

    courier = Courier(
        cast("Outbox", store),
        {ErrandKind.POST: run},
        lambda: NOW,
        timedelta(minutes=1),
    )
    work = asyncio.create_task(courier.run())
    await store.asked.wait()
    work.cancel()
    done, _ = await asyncio.wait([work], timeout=5)
    assert done == {work}
    assert work.cancelled()
