"""Which parts decide what about the whole."""

from __future__ import annotations

import asyncio

from mpi.errors import StoreUnavailable
from mpi.service.health import Check, examine


async def works() -> None:
    return


async def fails() -> None:
    raise StoreUnavailable("out of order")


async def hangs() -> None:
    await asyncio.Event().wait()


async def test_all_is_well_when_every_part_works() -> None:
    health = await examine([Check("store", is_critical=True, probe=works)])
    assert (health.status, health.failure) == ("ok", None)


async def test_a_part_that_is_not_critical_only_degrades() -> None:
    checks = [
        Check("store", is_critical=True, probe=works),
        Check("redis", is_critical=False, probe=fails),
    ]
    health = await examine(checks)
    assert (health.status, health.failure) == ("degraded", None)
    assert [part.code for part in health.parts] == [None, "store_unavailable"]


async def test_the_first_critical_part_that_fails_is_named() -> None:
    checks = [
        Check("redis", is_critical=False, probe=fails),
        Check("store", is_critical=True, probe=works),
        Check("schema", is_critical=True, probe=fails),
    ]
    health = await examine(checks)
    assert health.status == "unavailable"
    assert health.failure is not None
    assert health.failure.name == "schema"


async def test_a_part_that_hangs_is_given_up_and_holds_up_no_other() -> None:
    checks = [
        Check("verato", is_critical=False, probe=hangs, seconds=0.05),
        Check("store", is_critical=True, probe=works),
    ]
    verato, store = (await examine(checks)).parts
    assert verato.code == "deadline_exceeded"
    assert verato.latency_ms >= 50
    assert store.code is None
    assert store.latency_ms < verato.latency_ms
