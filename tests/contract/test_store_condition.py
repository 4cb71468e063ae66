"""What every store must tell about its condition."""

from __future__ import annotations

import pytest

from mpi.errors import KeyMismatch
from tests.contract.conftest import FINGERPRINT, Store


class TestCondition:
    async def test_a_store_that_works_says_nothing(self, store: Store) -> None:
        await store.check_reachable()
        await store.check_schema()
        await store.check_key(FINGERPRINT)

    async def test_a_store_knows_whose_key_made_it(self, store: Store) -> None:
        with pytest.raises(KeyMismatch):
            await store.check_key(b"another")
