"""The index in one SQLite file: needs no server, safe with several processes.

Implements :class:`mpi.ports.IndexStore`, :class:`~mpi.ports.Outbox`,
:class:`~mpi.ports.CallLedger`, :class:`~mpi.ports.KeyStore`, :class:`~mpi.ports.ModelStore` and
:class:`~mpi.ports.Monitored`. One instance belongs to one event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mpi.domain.errand import Errand, Lane, LeasedErrand, Waiting
from mpi.domain.identity import (
    Assertion,
    Committed,
    Event,
    IdentityChange,
    Neighbourhood,
    PersonState,
    StoredRecord,
    Task,
    TaskStatus,
    Touched,
)
from mpi.domain.record import RecordKey
from mpi.errors import KeyMismatch, SchemaMismatch
from mpi.matching.blocking import BLOCK_LIMIT, BlockingKeys
from mpi.ports import Activation, ApiKey, KeptModel, ModelRole
from mpi.stores.errands import name_of
from mpi.stores.sqlite import commit, history, keys, models, outbox, reads
from mpi.stores.sqlite.folding import Folding
from mpi.stores.sqlite.schema import SCHEMA_VERSION, get_meta, prepare, set_meta
from mpi.stores.sqlite.transactions import Transactions
from mpi.stores.sqlite.warming import look_through

_CROSSWALK_ROWS = 1_000
_CROSSWALK = """SELECT r.source, r.source_id, p.mpi_id FROM record r
    CROSS JOIN person p ON p.id = r.person ORDER BY r.source, r.source_id"""


def open_store(
    path: Path, hmac_fingerprint: bytes, *, create: bool = True, block_limit: int = BLOCK_LIMIT
) -> SqliteStore:
    """Open the database at ``path``, creating or migrating it first.

    Raises:
        ConfigurationError: it cannot be written, is not ours, is newer than this version, or was
            made with another HMAC key; the message says how to mend it.
    """
    prepare(path, hmac_fingerprint, create=create)
    return SqliteStore(path, block_limit=block_limit)


class SqliteStore:
    """Persons, records and their history in one file. ``block_limit``: rows of a block that is read whole."""

    def __init__(
        self,
        path: Path,
        *,
        block_limit: int = BLOCK_LIMIT,
    ) -> None:
        self._path = path
        self._block_limit = block_limit
        self._cache = reads.EvidenceCache()
        self._folding = Folding(path)
        self._transactions = Transactions(
            path, on_rollback=self._cache.clear, disk_is_busy=lambda: self._folding.is_folding
        )

    def close(self) -> None:
        """Fold the log into the database file and let go of it."""
        self._folding.stop()
        self._transactions.close()

    async def warm_up(self) -> None:
        """Prepare for serving many: no query pays for the first look at the file, no commit for folding the log.

        Once for each store. Takes three seconds at the most. Queries while a batch is written do pay: they read through
        another connection, and the pages that it has looked at would count as memory of the process again.
        """
        await self._transactions.read(look_through)
        self._folding.start()

    async def candidates(self, blocking_keys: BlockingKeys) -> Neighbourhood:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(
            lambda c: reads.candidates(c, self._cache, blocking_keys, self._block_limit)
        )

    async def record(self, key: RecordKey) -> StoredRecord | None:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(lambda c: reads.record(c, key))

    async def versions(self, key: RecordKey) -> tuple[StoredRecord, ...]:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(lambda c: reads.versions(c, key))

    async def person(self, mpi_id: str) -> PersonState | None:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(lambda c: reads.person(c, mpi_id))

    async def assertions(self, keys: Sequence[RecordKey]) -> tuple[Assertion, ...]:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(lambda c: reads.assertions_of(c, keys))

    async def commit(self, change: IdentityChange, *more: IdentityChange) -> Committed:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.write(
            lambda c: commit.apply(c, self._cache, (change, *more))
        )

    def group(self) -> AbstractAsyncContextManager[None]:
        """See :class:`mpi.ports.IdentityStore`. Other writers wait until the group ends."""
        return self._transactions.group()

    async def events(
        self, after: int = 0, limit: int = 1000, mpi_id: str | None = None
    ) -> tuple[Event, ...]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(lambda c: history.events(c, after, limit, mpi_id))

    async def record_events(self, key: RecordKey) -> tuple[Event, ...]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(lambda c: history.record_events(c, key))

    async def event(self, event_id: str) -> Event | None:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(lambda c: history.event(c, event_id))

    async def later_events(self, event: Event) -> tuple[Event, ...]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(lambda c: history.later_events(c, event))

    async def touched(self, first: int, last: int) -> tuple[Touched, ...]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(lambda c: history.touched(c, first, last))

    async def tasks(
        self,
        status: TaskStatus | None,
        after: str | None = None,
        limit: int = 100,
        due: datetime | None = None,
    ) -> tuple[Task, ...]:
        """See :class:`mpi.ports.TaskQueue`."""
        return await self._transactions.read(lambda c: history.tasks(c, status, after, limit, due))

    async def undecided(self, mpi_id: str) -> tuple[Task, ...]:
        """See :class:`mpi.ports.TaskQueue`."""
        return await self._transactions.read(lambda c: history.undecided(c, mpi_id))

    async def task(self, task_id: str) -> Task | None:
        """See :class:`mpi.ports.TaskQueue`."""
        return await self._transactions.read(lambda c: history.task(c, task_id))

    async def position(self) -> int:
        """See :class:`mpi.ports.IdentityHistory`."""
        row = await self._transactions.glance(history.POSITION)
        return int(row[0])

    async def statistics(self) -> dict[str, int]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(history.statistics)

    async def crosswalk(self) -> AsyncGenerator[tuple[RecordKey, str], None]:
        """See :class:`mpi.ports.IdentityHistory`. One snapshot of what is durable."""
        async with aclosing(self._transactions.stream(_CROSSWALK, _CROSSWALK_ROWS)) as batches:
            async for batch in batches:
                for source, source_id, mpi_id in batch:
                    yield RecordKey(source, source_id), mpi_id

    async def queue(self, errands: Sequence[Errand]) -> int:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.write(lambda c: outbox.queue(c, errands, datetime.now(UTC)))

    async def due(
        self, lease: timedelta, limit: int = 1, lane: Lane = Lane.BATCH
    ) -> tuple[LeasedErrand, ...]:
        """See :class:`mpi.ports.Outbox`."""
        now = datetime.now(UTC)
        if await self._transactions.look(outbox.ANY_DUE, outbox.lookup(lane, now)):
            return await self._transactions.write(
                lambda c: outbox.lease(c, lane, now, lease, limit)
            )
        return ()

    async def renew(self, leased: LeasedErrand, lease: timedelta) -> bool:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.write(
            lambda c: outbox.renew(c, leased, datetime.now(UTC), lease)
        )

    async def done(self, leased: LeasedErrand) -> bool:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.write(lambda c: outbox.done(c, leased))

    async def later(
        self,
        leased: LeasedErrand,
        due_at: datetime,
        reason: str | None = None,
        mark: str | None = None,
        *,
        failed: bool = True,
    ) -> bool:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.write(
            lambda c: outbox.later(c, leased, due_at, reason, mark, failed=failed)
        )

    async def lane_of(self, errand: Errand) -> Lane | None:
        """See :class:`mpi.ports.Outbox`."""
        row = await self._transactions.look(outbox.LANE, (name_of(errand),))
        return None if row is None else Lane(row[0])

    async def waiting(self) -> tuple[Waiting, ...]:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.aside(outbox.count)

    async def spend(self, period: str, calls: int, most: int) -> tuple[int, int]:
        """See :class:`mpi.ports.CallLedger`."""
        return await self._transactions.write(
            lambda c: outbox.spend(c, f"calls {period}", calls, most)
        )

    async def add_key(self, key_id: str, name: str, digest: bytes, scopes: frozenset[str]) -> None:
        """See :class:`mpi.ports.KeyStore`."""
        await self._transactions.write(
            lambda c: keys.add(c, key_id, name, digest, scopes, datetime.now(UTC))
        )

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """See :class:`mpi.ports.KeyStore`."""
        row = await self._transactions.look(keys.BY_DIGEST, (digest,))
        return None if row is None else keys.api_key(row)

    async def list_keys(self) -> tuple[ApiKey, ...]:
        """See :class:`mpi.ports.KeyStore`."""
        return await self._transactions.read(keys.keys)

    async def revoke_key(self, key_id: str) -> bool:
        """See :class:`mpi.ports.KeyStore`."""
        return await self._transactions.write(lambda c: keys.revoke(c, key_id, datetime.now(UTC)))

    async def add_model(self, version: str, document: bytes, actor: str) -> None:
        """See :class:`mpi.ports.ModelStore`."""
        await self._transactions.write(
            lambda c: models.add(c, version, document, datetime.now(UTC), actor)
        )

    async def models(self) -> tuple[KeptModel, ...]:
        """See :class:`mpi.ports.ModelStore`."""
        return await self._transactions.read(models.models)

    async def model(self, version: str) -> bytes | None:
        """See :class:`mpi.ports.ModelStore`."""
        return await self._transactions.read(lambda c: models.document_of(c, version))

    async def activate_model(
        self, role: ModelRole, version: str | None, *, actor: str, reason: str, after: int
    ) -> Activation:
        """See :class:`mpi.ports.ModelStore`."""
        wanted = Activation(after + 1, role, version, datetime.now(UTC), actor, reason)
        await self._transactions.write(lambda c: models.activate(c, wanted))
        return wanted

    async def activations(self) -> tuple[Activation, ...]:
        """See :class:`mpi.ports.ModelStore`."""
        return await self._transactions.read(models.activations)

    async def last_activation(self) -> int:
        """See :class:`mpi.ports.ModelStore`."""
        return int((await self._transactions.look(models.LAST))[0])

    async def check_reachable(self) -> None:
        """See :class:`mpi.ports.Monitored`."""
        self._transactions.check_file()
        await self.position()

    async def check_schema(self) -> None:
        """See :class:`mpi.ports.Monitored`."""
        (version,) = await self._transactions.look("PRAGMA user_version")
        if version != SCHEMA_VERSION:
            raise SchemaMismatch(f"the database has schema {version}, not {SCHEMA_VERSION}")

    async def check_key(self, fingerprint: bytes) -> None:
        """See :class:`mpi.ports.Monitored`."""
        known = await self._transactions.read(lambda c: get_meta(c, "hmac_fingerprint"))
        if known != fingerprint:
            raise KeyMismatch("the database was made with another HMAC key")

    async def is_demo(self) -> bool:
        """Whether the database holds made-up patients."""
        return await self._transactions.look("SELECT 1 FROM meta WHERE name = 'demo'") is not None

    async def mark_demo(self) -> None:
        """Mark the database, for ever, as one of made-up patients."""
        await self._transactions.write(lambda c: set_meta(c, "demo", b"1"))
