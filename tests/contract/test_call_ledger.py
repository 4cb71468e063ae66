"""Calls that were spent are counted once, over all processes, and never beyond the limit."""

from __future__ import annotations

import asyncio

from tests.contract.conftest import Store


async def test_calls_are_granted_up_to_the_limit(store: Store) -> None:
    assert await store.spend("2026-11", 7, most=10) == (7, 7)
    assert await store.spend("2026-11", 7, most=10) == (3, 10)
    assert await store.spend("2026-11", 7, most=10) == (0, 10)
    assert await store.spend("2026-12", 7, most=10) == (7, 7)


async def test_a_call_that_was_not_made_can_be_granted_again(store: Store) -> None:
    await store.spend("2026-11", 10, most=10)
    assert await store.spend("2026-11", -4, most=10) == (-4, 6)
    assert await store.spend("2026-11", 10, most=10) == (4, 10)


async def test_a_lower_limit_grants_nothing_more(store: Store) -> None:
    await store.spend("2026-11", 10, most=10)
    assert await store.spend("2026-11", 5, most=3) == (0, 10)


async def test_nobody_gets_more_by_asking_at_once(store: Store, other: Store) -> None:
    asked = [(store, other)[n % 2].spend("2026-11", 3, most=50) for n in range(40)]
    found = await asyncio.gather(*asked)
    assert sum(granted for granted, _ in found) == 50
