"""Keys of the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key without its secret, of which stores keep a digest only."""

    key_id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None


class KeyStore(Protocol):
    """The keys of an index. What one process changes, every other one sees at its next look."""

    async def add_key(self, key_id: str, name: str, digest: bytes, scopes: frozenset[str]) -> None:
        """Keep a key by the digest of its secret. Raises ``Conflict`` where the id or the digest is known already."""
        ...

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """The key of a secret, also a revoked one; None if there never was one."""
        ...

    async def list_keys(self) -> tuple[ApiKey, ...]:
        """Every key there ever was, the oldest first."""
        ...

    async def revoke_key(self, key_id: str) -> bool:
        """End a key for ever. False if none of this id is in force."""
        ...
