"""From settings to the tiers of the cache."""

from __future__ import annotations

from hashlib import blake2b
from time import monotonic, time

from mpi import __version__
from mpi.bootstrap_mongodb import cache_client
from mpi.cache.memory import MemoryCache
from mpi.cache.mongodb import MongoCache
from mpi.cache.redis import RedisCache, RedisPlace
from mpi.cache.sealing import FORMAT, Seal
from mpi.cache.tiered import TieredCache
from mpi.ports import Provider, RemoteCache, Store
from mpi.service.changes import RecentChanges
from mpi.service.recall import Lifetime, Recall
from mpi.settings import Settings
from mpi.telemetry import Metrics

_LOOKBACK = 2_000
"""Events before the start that are read when other processes keep answers: about a quarter of a second, once."""


def recall_of(
    settings: Settings, store: Store, tiers: TieredCache | None, key: bytes, metrics: Metrics
) -> Recall | None:
    """The cache, if there is any tier to keep answers in."""
    near = None
    if "memory" in settings.cache:
        near = MemoryCache(entries=settings.cache_entries, size=settings.cache_bytes, now=time)
    if near is None and tiers is None:
        return None
    secret = _derived(key, b"mpi-recall")
    return Recall(
        near,
        tiers,
        RecentChanges(store, secret, lookback=_LOOKBACK if tiers else 0),
        secret,
        lifetime=Lifetime(settings.cache_ttl, time),
        hit=metrics.cache_hit,
        miss=metrics.cache_missed,
    )


def tiers_of(
    settings: Settings, provider: Provider, key: bytes, metrics: Metrics
) -> TieredCache | None:
    """The tiers that other processes share; they connect when they are first asked."""
    if not settings.remote_tiers:
        return None
    secret = _derived(key, b"mpi-seal")
    seal, prefix = Seal(secret), _prefix(secret, provider)
    caches: list[RemoteCache] = []
    redis = None
    for tier in settings.remote_tiers:
        if tier == "redis":
            redis = RedisCache(redis_place(settings).client(), prefix, seal, now=time)
            caches.append(redis)
        else:
            client = cache_client(settings)
            caches.append(MongoCache(client, settings.database, prefix, seal, now=time))
    return TieredCache(
        caches,
        redis,
        deadline=settings.cache_timeout,
        ticks=monotonic,
        told=metrics,
    )


def redis_place(settings: Settings) -> RedisPlace:
    """Where the settings say that Redis is."""
    password = settings.redis_password
    return RedisPlace(
        host=settings.redis_host,
        port=settings.redis_port,
        pool_size=settings.redis_pool_size,
        database=settings.redis_database,
        username=settings.redis_username,
        password=password.get_secret_value() if password else None,
        tls=settings.redis_tls,
        authorities=settings.redis_authorities,
    )


def _prefix(secret: bytes, provider: Provider) -> bytes:
    """What keys begin with: answers of another index, version, provider or model are never met."""
    scope = "|".join((__version__, provider.name, provider.version)).encode()
    return f"mpi:{FORMAT}:{blake2b(scope, key=secret, digest_size=8).hexdigest()}:".encode()


def _derived(key: bytes, purpose: bytes) -> bytes:
    """A secret of its own for each purpose. BLAKE2 takes keys of at most 64 bytes; a setting may be longer."""
    return blake2b(key, digest_size=32, person=purpose).digest()
