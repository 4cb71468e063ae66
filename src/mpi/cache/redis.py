"""The tier that processes share: answers in Redis, or in what speaks like it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.lock import Lock
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    LockError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from mpi.cache.sealing import Seal
from mpi.errors import CacheUnavailable, ConfigurationError, MpiError
from mpi.ports import KeptAnswer

_PATIENCE = 1.0
"""Seconds after which a connection counts as dead; a caller goes on much sooner."""


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """Where Redis is and how to enter."""

    host: str
    port: int
    pool_size: int
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    authorities: Path | None = None
    """The file of the authorities that may have issued its certificate; None: those of the system."""

    def client(self) -> Redis:
        """Connects when it is first used."""
        secure: dict[str, Any] = {}
        if self.tls:
            authorities = str(self.authorities) if self.authorities else None
            secure = {"connection_class": SSLConnection, "ssl_ca_certs": authorities}
        pool = BlockingConnectionPool(
            host=self.host,
            port=self.port,
            db=self.database,
            username=self.username,
            password=self.password,
            max_connections=self.pool_size,
            timeout=_PATIENCE,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),
            **secure,
        )
        return Redis.from_pool(pool)


class RedisCache:
    """See :class:`mpi.ports.CoordinatingCache`.

    ``prefix`` begins every key. ``lease``: seconds after which a turn ends by itself. ``now``: seconds since 1970.
    """

    tier = "redis"

    def __init__(
        self,
        client: Redis,
        prefix: bytes,
        seal: Seal,
        *,
        now: Callable[[], float],
        lease: float = 5.0,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._seal = seal
        self._now = now
        self._lease = lease

    async def get(self, key: bytes) -> KeptAnswer | None:
        """See :class:`mpi.ports.AnswerCache`."""
        name = self._prefix + key.hex().encode()
        with translated():
            sealed = await self._client.get(name)
        answer = self._seal.open(name, sealed) if isinstance(sealed, bytes) else None
        return answer if answer and answer.expires > self._now() else None

    async def put(self, key: bytes, answer: KeptAnswer) -> None:
        """See :class:`mpi.ports.AnswerCache`."""
        name = self._prefix + key.hex().encode()
        left = int((answer.expires - self._now()) * 1000)
        if left > 0:
            with translated():
                await self._client.set(name, self._seal.close(name, answer), px=left)

    async def take(self, key: bytes) -> RedisTurn | None:
        """See :class:`mpi.ports.CoordinatingCache`."""
        name = self._prefix + b"turn:" + key.hex().encode()
        lock = self._client.lock(name, timeout=self._lease, thread_local=False)
        with translated():
            taken = await lock.acquire(blocking=False)
        return RedisTurn(lock) if taken else None

    async def check(self) -> None:
        """See :class:`mpi.ports.RemoteCache`."""
        with translated():
            await self._client.ping()

    async def close(self) -> None:
        """See :class:`mpi.ports.RemoteCache`."""
        with translated():
            await self._client.aclose()


@dataclass(frozen=True, slots=True)
class RedisTurn:
    """See :class:`mpi.ports.Turn`."""

    lock: Lock

    async def end(self) -> None:
        """See :class:`mpi.ports.Turn`. One that ended by itself belongs to somebody else."""
        with translated():
            try:
                await self.lock.release()
            except LockError:
                return


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the driver become ours, with the remedy and without what the server said."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise _problem(error) from None


def _problem(error: BaseException) -> MpiError:
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, AuthenticationError | NoPermissionError) for cause in causes):
        return ConfigurationError(
            "Redis does not accept MPI_REDIS_USERNAME and MPI_REDIS_PASSWORD; correct them"
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return ConfigurationError(
            "Redis cannot be reached over TLS as MPI_REDIS_TLS and MPI_REDIS_CA say; correct them, or "
            "the port in REDIS_PORT"
        )
    if isinstance(error, ResponseError) and "DB index" in str(error):
        return ConfigurationError("Redis has no database of the number in MPI_REDIS_DB; correct it")
    return CacheUnavailable(
        "Redis does not answer at REDIS_HOST and REDIS_PORT as MPI_REDIS_TLS says; start it, correct them, or take "
        "redis out of MPI_CACHE"
    )
