"""The index in MongoDB: a replica set, shared by any number of processes.

Implements :class:`mpi.ports.IdentityStore`, :class:`~mpi.ports.IdentityHistory`, :class:`~mpi.ports.TaskQueue`,
:class:`~mpi.ports.Outbox`, :class:`~mpi.ports.CallLedger`, :class:`~mpi.ports.KeyStore`,
:class:`~mpi.ports.ModelStore` and :class:`~mpi.ports.Monitored`. One instance belongs to one event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import UTC, datetime, timedelta

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
from mpi.domain.mpi_id import format_mpi_id
from mpi.domain.record import RecordKey
from mpi.errors import KeyMismatch, SchemaMismatch
from mpi.matching.blocking import BLOCK_LIMIT, BlockingKeys
from mpi.ports import Activation, ApiKey, KeptModel, ModelRole
from mpi.stores.mongodb import history, keys, models, outbox, reads
from mpi.stores.mongodb.candidates import candidates, candidates_inside
from mpi.stores.mongodb.errors import translated
from mpi.stores.mongodb.long_read import long_read
from mpi.stores.mongodb.opening import Address, client_for, database_of, prepare_database
from mpi.stores.mongodb.position import KnownPosition
from mpi.stores.mongodb.schema import HEAD, META, RECORD, SCHEMA_VERSION
from mpi.stores.mongodb.tail import Tail
from mpi.stores.mongodb.transactions import Transactions
from mpi.stores.mongodb.verify import verify
from mpi.stores.verification import Progress, Violation


class MongoStore:
    """Persons, records and their history in one database. ``block_limit``: records of a block that is read whole.

    Nothing is connected before :meth:`open`. Raises ``ConfigurationError`` when the address cannot be one.
    """

    def __init__(
        self,
        address: Address,
        *,
        block_limit: int = BLOCK_LIMIT,
    ) -> None:
        self._address = address
        self._client = client_for(address)
        self._database = database_of(self._client, address.database)
        self._block_limit = block_limit
        self._tail = Tail()
        self._position = KnownPosition(
            self._database, self._ask_position, self._tail, timeout=address.timeout
        )
        self._transactions = Transactions(
            self._client,
            self._database,
            self._tail,
            self._position.reached,
            self._position.next_commit,
        )

    async def open(self, hmac_fingerprint: bytes, *, create: bool = True) -> None:
        """Connect; make or migrate the database.

        Raises:
            ConfigurationError: it cannot be reached or used, is newer than this version, or was made with
                another HMAC key; the message names the setting and says how to mend it.
        """
        await prepare_database(self._address, hmac_fingerprint, create=create)

    async def close(self) -> None:
        """Close every connection; everything acknowledged is durable already."""
        await self._position.close()
        await self._client.close()

    async def candidates(self, blocking_keys: BlockingKeys) -> Neighbourhood:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(
            lambda view: candidates(view, blocking_keys, self._block_limit),
            lambda view, unit: candidates_inside(view, unit, blocking_keys, self._block_limit),
        )

    async def record(self, key: RecordKey) -> StoredRecord | None:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(
            lambda view: reads.record(view, key),
            lambda _, unit: reads.record_inside(unit, key),
        )

    async def versions(self, key: RecordKey) -> tuple[StoredRecord, ...]:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(lambda view: reads.versions(view, key))

    async def person(self, mpi_id: str) -> PersonState | None:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(
            lambda view: reads.person(view, mpi_id),
            lambda _, unit: reads.person_inside(unit, mpi_id),
        )

    async def assertions(self, keys: Sequence[RecordKey]) -> tuple[Assertion, ...]:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.read(lambda view: reads.assertions_of(view, keys))

    async def commit(self, change: IdentityChange, *more: IdentityChange) -> Committed:
        """See :class:`mpi.ports.IdentityStore`."""
        return await self._transactions.commit((change, *more))

    def group(self) -> AbstractAsyncContextManager[None]:
        """See :class:`mpi.ports.IdentityStore`. Other writers wait until the group ends."""
        return self._transactions.group()

    async def events(
        self, after: int = 0, limit: int = 1000, mpi_id: str | None = None
    ) -> tuple[Event, ...]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(
            lambda view: history.events(view, after, limit, mpi_id)
        )

    async def record_events(self, key: RecordKey) -> tuple[Event, ...]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(lambda view: history.record_events(view, key))

    async def event(self, event_id: str) -> Event | None:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(lambda view: history.event(view, event_id))

    async def later_events(self, event: Event) -> tuple[Event, ...]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return await self._transactions.read(lambda view: history.later_events(view, event))

    async def touched(self, first: int, last: int) -> tuple[Touched, ...]:
        """See :class:`mpi.ports.IdentityHistory`. Nobody is asked for what was told by a stream that lives."""
        known = self._tail.between(first, last) if self._position.is_told else None
        if known is not None:
            return known
        return await self._transactions.read(lambda view: history.touched(view, first, last))

    async def tasks(
        self,
        status: TaskStatus | None,
        after: str | None = None,
        limit: int = 100,
        due: datetime | None = None,
    ) -> tuple[Task, ...]:
        """See :class:`mpi.ports.TaskQueue`."""
        return await self._transactions.read(
            lambda view: history.tasks(view, status, after, limit, due)
        )

    async def undecided(self, mpi_id: str) -> tuple[Task, ...]:
        """See :class:`mpi.ports.TaskQueue`."""
        return await self._transactions.read(lambda view: history.undecided(view, mpi_id))

    async def task(self, task_id: str) -> Task | None:
        """See :class:`mpi.ports.TaskQueue`."""
        return await self._transactions.read(lambda view: history.task(view, task_id))

    async def position(self) -> int:
        """See :class:`mpi.ports.IdentityHistory`."""
        if self._transactions.is_in_group:
            return await self._ask_position()
        return await self._position.get()

    async def _ask_position(self) -> int:
        return int((await self._transactions.head())["position"])

    async def statistics(self) -> dict[str, int]:
        """See :class:`mpi.ports.IdentityHistory`."""
        return history.statistics(await self._transactions.head())

    async def crosswalk(self) -> AsyncGenerator[tuple[RecordKey, str], None]:
        """See :class:`mpi.ports.IdentityHistory`. One moment of what is durable."""
        owned = {"person": {"$exists": True}}
        fields = {"_id": 0, "source": 1, "source_id": 1, "person": 1}
        async with (
            long_read(self._client, self._database) as read,
            aclosing(read.documents(RECORD, owned, fields, ("source", "source_id"))) as records,
        ):
            async for found in records:
                yield (
                    RecordKey(found["source"], found["source_id"]),
                    format_mpi_id(found["person"]),
                )

    async def queue(self, errands: Sequence[Errand]) -> int:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.outside_history(
            lambda database, session: outbox.queue(database, session, errands, datetime.now(UTC))
        )

    async def due(
        self, lease: timedelta, limit: int = 1, lane: Lane = Lane.BATCH
    ) -> tuple[LeasedErrand, ...]:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.outside_history(
            lambda database, session: outbox.lease(
                database, session, lane, datetime.now(UTC), lease, limit
            )
        )

    async def renew(self, leased: LeasedErrand, lease: timedelta) -> bool:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.outside_history(
            lambda database, session: outbox.renew(
                database, session, leased, datetime.now(UTC), lease
            )
        )

    async def done(self, leased: LeasedErrand) -> bool:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.outside_history(
            lambda database, session: outbox.done(database, session, leased)
        )

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
        return await self._transactions.outside_history(
            lambda database, session: outbox.later(
                database, session, leased, due_at, reason, mark, failed=failed
            )
        )

    async def lane_of(self, errand: Errand) -> Lane | None:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.outside_history(
            lambda database, session: outbox.lane_of(database, session, errand)
        )

    async def waiting(self) -> tuple[Waiting, ...]:
        """See :class:`mpi.ports.Outbox`."""
        return await self._transactions.outside_history(outbox.count)

    async def spend(self, period: str, calls: int, most: int) -> tuple[int, int]:
        """See :class:`mpi.ports.CallLedger`."""
        return await self._transactions.outside_history(
            lambda database, session: outbox.spend(
                database, session, f"calls {period}", calls, most
            )
        )

    async def add_key(self, key_id: str, name: str, digest: bytes, scopes: frozenset[str]) -> None:
        """See :class:`mpi.ports.KeyStore`."""
        await keys.add(self._database, key_id, name, digest, scopes, datetime.now(UTC))

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """See :class:`mpi.ports.KeyStore`."""
        return await keys.find(self._database, digest)

    async def list_keys(self) -> tuple[ApiKey, ...]:
        """See :class:`mpi.ports.KeyStore`."""
        return await keys.keys(self._database)

    async def revoke_key(self, key_id: str) -> bool:
        """See :class:`mpi.ports.KeyStore`."""
        return await keys.revoke(self._database, key_id, datetime.now(UTC))

    async def add_model(self, version: str, document: bytes, actor: str) -> None:
        """See :class:`mpi.ports.ModelStore`."""
        await models.add(self._database, version, document, datetime.now(UTC), actor)

    async def models(self) -> tuple[KeptModel, ...]:
        """See :class:`mpi.ports.ModelStore`."""
        return await models.models(self._database)

    async def model(self, version: str) -> bytes | None:
        """See :class:`mpi.ports.ModelStore`."""
        return await models.document_of(self._database, version)

    async def activate_model(
        self, role: ModelRole, version: str | None, *, actor: str, reason: str, after: int
    ) -> Activation:
        """See :class:`mpi.ports.ModelStore`."""
        wanted = Activation(after + 1, role, version, datetime.now(UTC), actor, reason)
        await models.activate(self._database, wanted)
        return wanted

    async def activations(self) -> tuple[Activation, ...]:
        """See :class:`mpi.ports.ModelStore`."""
        return await models.activations(self._database)

    async def last_activation(self) -> int:
        """See :class:`mpi.ports.ModelStore`."""
        return await models.last(self._database)

    async def verify(self, progress: Progress = lambda _name, _done, _all: None) -> list[Violation]:
        """Check every invariant of the index; see :mod:`mpi.stores.verification`."""
        async with long_read(self._client, self._database) as read:
            return await verify(read, progress)

    async def check_reachable(self) -> None:
        """See :class:`mpi.ports.Monitored`."""
        await self._transactions.head()

    async def check_schema(self) -> None:
        """See :class:`mpi.ports.Monitored`."""
        schema = (await self._transactions.head())["schema"]
        if schema != SCHEMA_VERSION:
            raise SchemaMismatch(f"the database has schema {schema}, not {SCHEMA_VERSION}")

    async def check_key(self, fingerprint: bytes) -> None:
        """See :class:`mpi.ports.Monitored`."""
        if (await self._transactions.head())["fingerprint"] != fingerprint:
            raise KeyMismatch("the database was made with another HMAC key")

    async def is_demo(self) -> bool:
        """Whether the database holds made-up patients."""
        return bool((await self._transactions.head())["demo"])

    async def mark_demo(self) -> None:
        """Mark the database, for ever, as one of made-up patients."""
        with translated():
            await self._database[META].update_one({"_id": HEAD}, {"$set": {"demo": True}})
