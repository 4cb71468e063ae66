"""From settings to the tiers of the cache that other processes share."""

from __future__ import annotations

from hashlib import blake2b
from time import monotonic, time

from mpi import __version__
from mpi.bootstrap.cache import derived
from mpi.bootstrap.mongodb import cache_client
from mpi.cache.mongodb import MongoCache
from mpi.cache.redis import RedisCache, RedisPlace
from mpi.cache.sealing import FORMAT, Seal
from mpi.cache.tiered import TieredCache
from mpi.ports import Provider, RemoteCache
from mpi.settings import Settings
from mpi.telemetry import Metrics


def tiers_of(settings: Settings, provider: Provider, key: bytes, metrics: Metrics) -> TieredCache:
    """The tiers that ``MPI_CACHE`` names; they connect when they are first asked."""
    secret = derived(key, b"mpi-seal")
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
    """What keys begin with: answers of another index, version or provider are never met."""
    scope = "|".join((__version__, provider.name)).encode()
    return f"mpi:{FORMAT}:{blake2b(scope, key=secret, digest_size=8).hexdigest()}:".encode()
