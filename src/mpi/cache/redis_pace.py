"""A pace that processes keep together in Redis: its clock, and one script for each step, so nobody overtakes."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from mpi.cache.redis import translated
from mpi.resilience import LONGEST_PAUSE_S

_KNOWN = """
-- A value of another type that somebody has put here would end the pace for as long as it stays.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local known = redis.call('HMGET', KEYS[1], 'base', 'since', 'next')
local most = tonumber(ARGV[1])
local base = tonumber(known[1]) or tonumber(ARGV[2])
-- A clock that was set back, or that of another server, may be behind what was told before.
local since = math.min(tonumber(known[2]) or now, now)
local rate = math.min(most, base + tonumber(ARGV[3]) * (now - since) / 1000)
"""
"""How both scripts begin: what the rate is now."""
_TAKE = """
local urgent = ARGV[4] == '1'
local free = tonumber(known[3]) or now
local last = now + math.max(tonumber(ARGV[7]), 1000 / rate)
if free > last then
    free = last
    redis.call('HSET', KEYS[1], 'next', free)
end
local wait = math.max(0, free - now)
if not urgent then wait = math.max(wait, redis.call('PTTL', KEYS[2])) end
if wait > 0 then
    if urgent then redis.call('SET', KEYS[2], '1', 'PX', math.ceil(wait) + tonumber(ARGV[5])) end
    return {tostring(wait / 1000), tostring(rate)}
end
redis.call('HSET', KEYS[1], 'base', base, 'since', since, 'next', now + 1000 / rate)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {'0', tostring(rate)}
"""
_SLOW_DOWN = """
local free = math.max(tonumber(known[3]) or now, now + tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'base', math.max(rate / 2, most / 16), 'since', now, 'next', free)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
"""

_GRACE_MS = 20
"""How long after its time somebody urgent is still expected before the others."""
_FORGOTTEN_AFTER_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class RedisPace:
    """Implements :class:`mpi.ports.elsewhere.SharedPace` as :class:`mpi.resilience.TokenBucket` does for one process.

    ``most`` and ``start`` are calls a second, ``ramp`` is what is gained a minute. ``name`` is that of the pace.
    """

    client: Redis
    name: str
    most: float
    start: float
    ramp: float

    async def take(self, *, urgent: bool) -> tuple[float, float]:
        """See :class:`mpi.ports.elsewhere.SharedPace`."""
        keys = (self.name, f"{self.name}:urgent")
        limits = (self.most, min(self.start, self.most), self.ramp / 60)
        with translated():
            wait, rate = await self.client.eval(
                _KNOWN + _TAKE,
                2,
                *keys,
                *limits,
                int(urgent),
                _GRACE_MS,
                _FORGOTTEN_AFTER_MS,
                1000 * LONGEST_PAUSE_S,
            )
        return float(wait), float(rate)

    async def slow_down(self, pause: float) -> None:
        """See :class:`mpi.ports.elsewhere.SharedPace`."""
        limits = (self.most, min(self.start, self.most), self.ramp / 60)
        with translated():
            await self.client.eval(
                _KNOWN + _SLOW_DOWN, 1, self.name, *limits, pause * 1000, _FORGOTTEN_AFTER_MS
            )

    async def close(self) -> None:
        """Let go of the connections."""
        with translated():
            await self.client.aclose()
