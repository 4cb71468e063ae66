"""From settings to the answers that are kept."""

from __future__ import annotations

from hashlib import blake2b
from time import time

from mpi.cache.memory import MemoryCache
from mpi.cache.tiered import TieredCache
from mpi.ports import Provider, Store
from mpi.service.changes import RecentChanges
from mpi.service.recall import Lifetime, Recall
from mpi.settings import Settings
from mpi.telemetry import Metrics

_LOOKBACK = 2_000
"""Events before the start that are read when other processes keep answers: about a quarter of a second, once."""


def recall_of(
    settings: Settings,
    store: Store,
    provider: Provider,
    tiers: TieredCache | None,
    key: bytes,
    metrics: Metrics,
) -> Recall | None:
    """The cache, if there is any tier to keep answers in."""
    near = None
    if "memory" in settings.cache:
        near = MemoryCache(entries=settings.cache_entries, size=settings.cache_bytes, now=time)
    if near is None and tiers is None:
        return None
    secret = derived(key, b"mpi-recall")
    return Recall(
        near,
        tiers,
        RecentChanges(store, secret, lookback=_LOOKBACK) if tiers else RecentChanges(store, None),
        secret,
        version=lambda: provider.version,
        lifetime=Lifetime(settings.cache_ttl, time),
        hit=metrics.cache_hit,
        miss=metrics.cache_missed,
    )


def derived(key: bytes, purpose: bytes) -> bytes:
    """A secret of its own for each purpose. BLAKE2 takes keys of at most 64 bytes; a setting may be longer."""
    return blake2b(key, digest_size=32, person=purpose).digest()
