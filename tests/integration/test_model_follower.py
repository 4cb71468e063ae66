"""A model that cannot be read decides nothing, and stops nobody unless it is the one that has to decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpi.errors import InvalidInput
from mpi.matching.model import default_document, load_default_model
from mpi.ports import ModelRole
from mpi.service.model_follower import ModelFollower
from mpi.service.models import with_thresholds
from mpi.stores.sqlite import open_store


async def test_an_unreadable_model_stops_only_whom_it_decides_for(tmp_path: Path) -> None:
    store = open_store(tmp_path / "index.sqlite3", b"fingerprint")
    documents = {
        "mine": with_thresholds(default_document(), "mine", "", link=12.0, review=4.0),
        "newer": b'{"of": "another version of the service"}',
    }
    for version, document in documents.items():
        await store.add_model(version, document, "ann")
    given = [
        (ModelRole.SHADOW, "newer"),
        (ModelRole.DECIDE, "mine"),
        (ModelRole.DECIDE, "newer"),
    ]
    follower = ModelFollower(store, load_default_model())
    try:
        for number, (role, version) in enumerate(given[:2]):
            await store.activate_model(role, version, actor="ann", reason="new", after=number)
        await follower.look()
        assert (follower.deciding().version, follower.shadow()) == ("mine", None)
        await store.activate_model(*given[2], actor="ann", reason="new", after=2)
        with pytest.raises(InvalidInput):
            await follower.look()
        assert follower.deciding().version == "mine"
    finally:
        store.close()
