"""Who may do what: API keys, of which only keyed digests are stored.

Without any key the service answers this machine only; the first key ends that for everybody and for good: that the last
one is revoked must not open what it kept closed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from mpi.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from mpi.ports import ApiKey, KeyStore

SCOPES = ("read", "submit", "steward", "admin")
"""``admin`` includes the other three; these do not include each other."""

_REMEMBER_SECONDS = 1.0
_REMEMBER_KEYS = 1024
_PREFIX = "mpi_"
_MARK_BYTES = 32


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. ``name`` becomes the actor of events."""

    name: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raise ``Forbidden`` unless the scope, or ``admin``, is held."""
        if scope not in self.scopes and "admin" not in self.scopes:
            raise Forbidden(f"this needs the scope {scope}", scope=scope)


LOCAL = Principal("local", frozenset(SCOPES))
"""Whoever works on this machine before the first key is issued."""


class Access:
    """Issues, checks and revokes keys.

    What the store said about a key is believed for one second, so that a busy client costs one
    look-up a second and a revoked key stops working within one.
    """

    def __init__(self, keys: KeyStore, hmac_key: bytes, ticks: Callable[[], float]) -> None:
        self._keys = keys
        self._hmac_key = hmac_key
        self._ticks = ticks
        self._marking = secrets.token_bytes(_MARK_BYTES)
        self._known: dict[bytes, tuple[float, Principal | None]] = {}
        self._unclaimed: tuple[float, bool] = (0.0, False)

    async def authenticate(self, secret: str | None, *, local: bool) -> Principal:
        """The principal behind a presented key; :data:`LOCAL` for this machine before the first key is issued.

        Raises:
            Unauthorized: no key was given where one is needed, or it is unknown or revoked.
        """
        if secret is not None:
            principal = await self._holder(secret)
            if principal is None:
                raise Unauthorized("the API key is unknown or revoked")
            return principal
        if local and await self._is_unclaimed():
            return LOCAL
        raise Unauthorized("send an API key as 'Authorization: Bearer …' or 'X-API-Key: …'")

    async def is_keyless(self) -> bool:
        """Whether no key is in force."""
        return not any(key.revoked_at is None for key in await self._keys.list_keys())

    async def _is_unclaimed(self) -> bool:
        until, unclaimed = self._unclaimed
        now = self._ticks()
        if now >= until:
            unclaimed = not await self._keys.list_keys()
            self._unclaimed = (now + _REMEMBER_SECONDS, unclaimed)
        return unclaimed

    async def issue(self, name: str, scopes: Iterable[str]) -> tuple[str, str]:
        """A new key: its public id and the secret, which is shown once and never stored."""
        wanted = frozenset(scopes)
        if not wanted or not wanted <= frozenset(SCOPES):
            raise InvalidInput(f"scopes are {', '.join(SCOPES)}")
        if not 0 < len(name) <= 64 or not name.isprintable():
            raise InvalidInput("the name of a key has 1 to 64 printable characters")
        key_id, secret = secrets.token_hex(4), _PREFIX + secrets.token_urlsafe(32)
        await self._keys.add_key(key_id, name, self._digest(secret), wanted)
        return key_id, secret

    async def list(self) -> tuple[ApiKey, ...]:
        """Every key ever issued, revoked ones too."""
        return await self._keys.list_keys()

    async def revoke(self, key_id: str) -> None:
        """End a key. Raises ``NotFound`` when none of that id is in force."""
        # A store takes text only, which a word of a command line need not be; an id of ours is plain.
        if not key_id.isascii() or not await self._keys.revoke_key(key_id):
            raise NotFound("no key of this id is in force")

    async def _holder(self, secret: str) -> Principal | None:
        now = self._ticks()
        # Remembered by a quicker digest than the stored one, under a key that nobody outside this process has.
        mark = blake2b(secret.encode(), key=self._marking, digest_size=_MARK_BYTES).digest()
        until, principal = self._known.get(mark, (0.0, None))
        if now < until:
            return principal
        key = await self._keys.find_key(self._digest(secret))
        valid = key is not None and key.revoked_at is None
        principal = Principal(key.name, key.scopes) if key is not None and valid else None
        if len(self._known) >= _REMEMBER_KEYS:
            self._known.clear()
        self._known[mark] = (now + _REMEMBER_SECONDS, principal)
        return principal

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._hmac_key, b"api-key:" + secret.encode(), hashlib.sha256)
