"""One database with everything in it."""

from __future__ import annotations

from typing import Protocol

from mpi.ports.identity import IndexStore
from mpi.ports.keys import KeyStore
from mpi.ports.models import ModelStore
from mpi.ports.outbox import CallLedger, Outbox


class Monitored(Protocol):
    """What readiness asks of a store. Cheap, never waits long, changes nothing."""

    async def check_reachable(self) -> None:
        """Raises ``StoreUnavailable`` unless the store answers and is the one that was opened."""
        ...

    async def check_schema(self) -> None:
        """Raises ``SchemaMismatch`` when another version of the service has changed the store's form."""
        ...

    async def check_key(self, fingerprint: bytes) -> None:
        """Raises ``KeyMismatch`` unless the store was made with the HMAC key of this fingerprint."""
        ...


class Store(IndexStore, Outbox, CallLedger, KeyStore, ModelStore, Monitored, Protocol):
    """One database with everything in it."""

    async def is_demo(self) -> bool:
        """Whether the database holds made-up patients."""
        ...

    async def mark_demo(self) -> None:
        """Mark the database, for ever, as one of made-up patients."""
        ...
