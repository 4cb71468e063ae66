"""Which model decides again when one is taken back, also across updates that ship another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mpi.errors import Conflict, NotFound
from mpi.matching.model import default_document, load_default_model
from mpi.ports import ModelRole, ModelStore
from mpi.service.models import Models, with_thresholds
from mpi.stores.sqlite.store import open_store

SHIPPED = load_default_model().version


def variant(version: str) -> bytes:
    return with_thresholds(default_document(), version, "", link=12.0, review=4.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ModelStore]:
    """An index without models."""
    made = open_store(tmp_path / "index.sqlite3", b"fingerprint")
    yield made
    made.close()


def installed(store: ModelStore) -> tuple[Models, Models]:
    """The models of an index under this release, and under a later one that ships another model."""
    return Models(store, default_document()), Models(store, variant("next"))


async def decided(models: Models) -> list[str | None]:
    return [each.version for each in await models.history() if each.role is ModelRole.DECIDE]


async def test_what_came_with_the_service_decides_again_after_an_update(store: ModelStore) -> None:
    now, later = installed(store)
    await now.add(variant("own"), actor="ann")
    await now.shadow("own", actor="ann", reason="first look")
    await now.activate("own", actor="ann", reason="better")
    back = await later.rollback(actor="ann", reason="worse")
    assert (back.version, await later.deciding()) == (SHIPPED, SHIPPED)
    assert await later.document(SHIPPED) == default_document()
    assert await decided(later) == [SHIPPED, "own", SHIPPED]
    assert (await later.rollback(actor="ann", reason="again")).version == "own"


async def test_who_only_held_on_to_the_shipped_model_has_nothing_to_take_back(
    store: ModelStore,
) -> None:
    now, later = installed(store)
    await now.activate(SHIPPED, actor="ann", reason="it stays")
    with pytest.raises(Conflict, match="the one that decides"):
        await later.rollback(actor="ann", reason="what was before?")
    assert await later.deciding() == SHIPPED


async def test_an_activation_that_fails_leaves_no_history(store: ModelStore) -> None:
    now, _ = installed(store)
    with pytest.raises(NotFound):
        await now.activate("unknown", actor="ann", reason="better")
    assert (await now.history(), await store.models()) == ((), ())


async def test_an_index_of_an_earlier_release_goes_back_to_what_is_shipped(
    store: ModelStore,
) -> None:
    _, later = installed(store)
    await store.add_model("own", variant("own"), "ann")
    await store.activate_model(ModelRole.DECIDE, "own", actor="ann", reason="better", after=0)
    assert (await later.rollback(actor="ann", reason="worse")).version == "next"
