"""Verato says that it is too much, and for how long: believed within bounds, and told as what it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from secrets import token_hex

import pytest

from bench.daemons import Valkey
from mpi.cache.redis import RedisPlace
from mpi.cache.redis_pace import RedisPace
from mpi.providers.verato.client import Limits
from mpi.providers.verato.outcome import CallOutcome, Reason
from mpi.providers.verato.transport import Timeouts
from tests.support.api import serving
from tests.support.verato import Verato, registrations
from tests.support.verato_client import connected, record
from tests.support.verato_service import IMPATIENT, body, settings

MADE = registrations(300)
ADA = record(MADE[1][0], "1")
QUICK = Timeouts(connect=2, read=5, total=0.6)
ONCE = Limits(tps=10_000, start=10_000, retries=0)


@pytest.mark.parametrize(
    ("asked", "believed"),
    [("2", 2), ("86400", 60), ("9" * 400, 60), ("²", 1), ("٣", 1), ("-5", 1), ("soon", 1)],
)
async def test_a_pause_is_believed_within_bounds(
    verato: Verato, asked: str, believed: float
) -> None:
    verato.plan(f"429_text:{asked.encode().decode('latin-1')}", times=None)
    async with connected(verato, limits=ONCE) as index:
        assert (await index.query(ADA)).outcome is CallOutcome.THROTTLED
        assert believed - 1 < index.client.retry_after <= believed


async def test_whoever_waits_for_a_pause_that_verato_wants_is_told_so(verato: Verato) -> None:
    verato.plan("429_text:5")
    async with connected(verato, limits=ONCE, timeouts=QUICK) as index:
        assert (await index.query(ADA)).reason is Reason.RATE_LIMIT
        reply = await index.query(ADA)
        assert (reply.reason, reply.sent) == (Reason.RATE_LIMIT, False)
    assert verato.calls("demographicsQuery") == 1


async def test_after_the_pause_it_is_our_own_limit_again(verato: Verato) -> None:
    verato.plan("429_text:1")
    slow = Limits(tps=0.5, start=0.5, retries=0)
    async with connected(verato, limits=slow, timeouts=QUICK) as index:
        assert (await index.query(ADA)).reason is Reason.RATE_LIMIT
        await asyncio.sleep(1.1)
        replies = [await index.query(ADA) for _ in range(3)]
        assert (replies[-1].reason, replies[-1].sent) == (Reason.OWN_LIMIT, False)


async def test_a_service_that_is_throttled_names_the_limit(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **settings(verato, **IMPATIENT)) as api:
        verato.plan("429_text:²")
        verato.plan("429_text:86400")
        rows = [body(MADE[number][0], str(number)) for number in (1, 2)]
        answers = [await api.client.post("/mpi/match", json=row) for row in rows]
        for answer in answers:
            assert (answer.status_code, answer.json()["reason"]) == (503, "rate_limit")
            assert "VERATO_MAX_TPS" in answer.json()["detail"]
        assert 50 < int(answers[-1].headers["retry-after"]) <= 60
        ready = (await api.client.get("/health/ready")).json()["parts"]["verato"]
        assert "VERATO_MAX_TPS" in ready["detail"]


async def test_a_long_pause_that_is_kept_in_redis_ends_with_the_minute(valkey: Valkey) -> None:
    """Whoever kept it, and however the clock there was moved meanwhile."""
    client = RedisPlace(host="127.0.0.1", port=valkey.port, pool_size=4).client()
    pace = RedisPace(client, f"test:{token_hex(4)}", most=50, start=50, ramp=0)
    await pace.slow_down(86_400)
    wait, _ = await pace.take(urgent=True)
    assert 59 < wait <= 60
    await client.hset(pace.name, "next", 10**15)
    wait, _ = await pace.take(urgent=True)
    assert 59 < wait <= 60
    await asyncio.sleep(0.1)
    shorter, _ = await pace.take(urgent=True)
    assert shorter < wait - 0.09
    await pace.close()


async def test_a_slow_pace_is_kept_in_redis_as_it_is(valkey: Valkey) -> None:
    client = RedisPlace(host="127.0.0.1", port=valkey.port, pool_size=4).client()
    pace = RedisPace(client, f"test:{token_hex(4)}", most=0.01, start=0.01, ramp=0)
    assert (await pace.take(urgent=False))[0] == 0
    assert (await pace.take(urgent=False))[0] > 90
    await pace.close()
