"""What every store of API keys must do."""

from __future__ import annotations

import pytest

from mpi.errors import Conflict
from tests.contract.conftest import Store


class TestKeys:
    async def test_a_key_is_found_by_its_digest_until_revoked(self, store: Store) -> None:
        await store.add_key("k1", "lab", b"digest", frozenset({"read", "submit"}))
        found = await store.find_key(b"digest")
        assert found is not None
        assert (found.key_id, found.name, found.scopes) == (
            "k1",
            "lab",
            frozenset({"read", "submit"}),
        )
        assert found.revoked_at is None
        assert await store.find_key(b"other") is None
        assert await store.revoke_key("k1")
        assert not await store.revoke_key("k1")
        assert not await store.revoke_key("k2")
        found = await store.find_key(b"digest")
        assert found is not None
        assert found.revoked_at is not None
        assert found.revoked_at >= found.created_at

    async def test_keys_are_listed_and_unique(self, store: Store, other: Store) -> None:
        await store.add_key("k1", "lab", b"1", frozenset({"read"}))
        await store.add_key("k2", "ward", b"2", frozenset())
        for wrong in (("k1", b"3"), ("k3", b"1")):
            with pytest.raises(Conflict):
                await store.add_key(wrong[0], "x", wrong[1], frozenset())
        assert [k.key_id for k in await other.list_keys()] == ["k1", "k2"]
