"""Verato's notifications are read to their end, also where that takes longer than a lease."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from mpi.domain.errand import ErrandKind
from mpi.service.outbox import Courier
from tests.support.api import Api, serving
from tests.support.verato import Verato
from tests.support.verato_service import settings


def courier(api: Api) -> Courier:
    assert api.parts.courier is not None
    return api.parts.courier


async def begun(api: Api) -> None:
    begin = courier(api).begin
    assert begin is not None
    await begin()


async def measured(api: Api, name: str) -> float:
    text = (await api.client.get("/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


LISTENED = 'mpi_outbox_errands_total{kind="listen",outcome="done"}'
LATE = 'mpi_outbox_oldest_seconds{kind="listen"}'


async def test_what_takes_longer_than_a_lease_is_done_once(verato: Verato, tmp_path: Path) -> None:
    chosen = settings(verato, MPI_OUTBOX_LEASE="0.5")
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(serving(tmp_path, **chosen)) for _ in range(2)
        ]
        await begun(one)
        (before,) = await one.parts.store.waiting()
        verato.plan("slow:1800", "searchNotifications", times=None)
        reading = asyncio.create_task(courier(one).deliver())
        while not verato.calls("searchNotifications"):  # noqa: ASYNC110 - the simulator knows when
            await asyncio.sleep(0.02)
        until = monotonic() + 2.2
        while monotonic() < until:
            await courier(other).deliver()
            await asyncio.sleep(0.05)
        await reading
        (waiting,) = await one.parts.store.waiting()
        assert verato.calls("searchNotifications") == 1
        assert str(before.mark) < str(waiting.mark)
        assert await measured(one, LISTENED) == 1


async def test_how_late_listening_is_can_be_seen(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **settings(verato, VERATO_NOTIFY_INTERVAL="0.2")) as api:
        await begun(api)
        verato.plan("503", "searchNotifications", times=None)
        await courier(api).deliver()
        await asyncio.sleep(1.2)
        courier(api).counted(await api.parts.store.waiting(), datetime.now(UTC))
        assert await measured(api, 'mpi_outbox_waiting{kind="listen"}') == 1
        assert await measured(api, LATE) >= 1
        verato.clear()
        await begun(api)
        await courier(api).deliver()
        courier(api).counted(await api.parts.store.waiting(), datetime.now(UTC))
        assert await measured(api, LATE) < 1


async def test_whoever_was_overtaken_has_not_done_it(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        await begun(api)
        (leased,) = await api.parts.store.due(courier(api).lease)

        async def overtaken(_: object) -> None:
            await api.parts.store.done(leased)

        late = Courier(
            api.parts.store,
            {ErrandKind.LISTEN: overtaken},
            courier(api).clock,
            courier(api).lease,
            ran=courier(api).ran,
        )
        await late._run(leased)
        assert await measured(api, LISTENED) == 0
        overtook = 'mpi_outbox_errands_total{kind="listen",outcome="overtaken"}'
        assert await measured(api, overtook) == 1
