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
    async def add_key(
        self, key_id: str, name: str, digest: bytes, scopes: frozenset[str]
    ) -> None: ...

    async def find_key(self, digest: bytes) -> ApiKey | None: ...

    async def list_keys(self) -> tuple[ApiKey, ...]: ...

    async def revoke_key(self, key_id: str) -> bool: ...
