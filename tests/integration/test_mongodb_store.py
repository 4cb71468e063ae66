"""What only a store that is shared by many processes has to stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from pymongo import AsyncMongoClient, MongoClient
from structlog.testing import capture_logs

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.mpi_id import format_mpi_id
from mpi.errors import ConfigurationError, StoreUnavailable
from mpi.stores.mongodb.abandoned import APP_NAME, RESTED
from mpi.stores.mongodb.opening import Address
from mpi.stores.mongodb.store import MongoStore
from mpi.stores.verification import UNASKED
from tests.contract.changes import (
    change,
    create,
    created,
    key,
    link,
    merged,
    not_same,
    plain,
    review,
)


@pytest.fixture
async def store(address: Address) -> AsyncIterator[MongoStore]:
    store = MongoStore(address)
    await store.open(b"fingerprint")
    yield store
    await store.close()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
    """What is told of the indexes; by a new logger, because one that was used keeps the configuration of then."""
    monkeypatch.setattr("mpi.stores.mongodb.schema.log", structlog.get_logger())
    with capture_logs() as told:
        yield told


async def test_a_process_that_died_within_a_transaction_keeps_nobody_out(
    store: MongoStore, address: Address
) -> None:
    """MongoDB itself would keep its locks for a minute."""
    async with AsyncMongoClient[dict[str, Any]](address.uri, appName=APP_NAME) as dead:
        session = dead.start_session()
        await session.start_transaction()
        head = {"_id": "head"}, {"$inc": {"writes": 1}}
        await dead[address.database]["meta"].update_one(*head, session=session)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await created(store, "1", 10)
        assert loop.time() - started < 2 * RESTED + 1
        await session.end_session()


async def test_numbers_may_be_passed_over_after_a_restore(
    store: MongoStore, address: Address
) -> None:
    """As the guide to backups does with what was told since."""
    first = await created(store, "1", 1)
    asked = await store.commit(change(tasks=(review("1", first),)))
    async with AsyncMongoClient[dict[str, Any]](address.uri) as client:
        passed = {"$inc": {"minted": 1_000_000, "last_task": 1_000_000}}
        await client[address.database]["meta"].update_one({"_id": "head"}, passed)
    assert await created(store, "2", 2) == format_mpi_id(1_000_002)
    other = await store.commit(change(tasks=(review("2", first),)))
    assert other.task_ids != asked.task_ids
    assert await store.verify() == []


async def test_what_is_read_leads_to_no_event_that_is_not_there(store: MongoStore) -> None:
    """Writers that wait are written together; still each event has its number, and each reader a whole."""
    first = await created(store, "0", 1)
    made = await asyncio.gather(*(store.commit(create(str(n), n)) for n in range(1, 60)))
    assert sorted(m.event.seq for m in made) == list(range(2, 61))
    assert len({m.mpi_id for m in made} | {first}) == 60
    assert await store.verify() == []


async def test_a_refused_change_leaves_those_that_are_written_with_it(store: MongoStore) -> None:
    changes = [create("1", 1), link("2", "MPI-00000000X"), create("3", 3), create("1", 4)]
    done = await asyncio.gather(*map(store.commit, changes), return_exceptions=True)
    assert [isinstance(d, Exception) for d in done] == [False, True, False, True]
    assert [e.record for e in await store.events()] == [key("1"), key("3")]
    assert await store.verify() == []


async def test_whoever_gives_up_waiting_stops_nobody_else(store: MongoStore) -> None:
    waiting = [asyncio.create_task(store.commit(create(str(n), n))) for n in range(8)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[5].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert {(await store.record(key(str(n)))) is not None for n in (1, 2, 3, 4, 6, 7)} == {True}
    assert await store.verify() == []


async def test_changes_of_another_process_are_seen_by_the_guard(
    store: MongoStore, address: Address
) -> None:
    other = MongoStore(address)
    await other.open(b"fingerprint")
    around = await store.candidates(plain(1))
    for number in range(5):
        await created(other, str(number), 100 + number)
    await store.commit(create("9", 1, position=around.position, guard_keys=(1,)))
    await other.close()


async def test_an_index_that_vanished_is_no_empty_one(store: MongoStore, address: Address) -> None:
    with MongoClient[dict[str, Any]](address.uri) as client:
        client.drop_database(address.database)
    for question in (store.position(), store.candidates(plain(1)), store.commit(create("1"))):
        with pytest.raises(StoreUnavailable):
            await question


BREAKAGES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "record_without_person": ("record", {"_id": 1}, {"$set": {"person": 99}}),
    "deleted_record_with_person": ("record", {"_id": 1}, {"$set": {"status": "deleted"}}),
    "wrong_current_version": ("version", {}, {"$set": {"status": "active"}}),
    UNASKED: ("version", {}, {"$set": {"status": "pending"}}),
    "empty_person": ("record", {"_id": 3}, {"$set": {"person": 1}}),
    "alias_without_end": ("person", {"_id": 1}, {"$set": {"active": False, "into": 2}}),
    "not_same_in_one_person": ("record", {"_id": 3}, {"$set": {"person": 1}}),
    "event_gap": ("event", {"_id": 2}, {}),
    "event_undoes_later": ("event", {"_id": 2}, {"$set": {"undoes": 3}}),
    "wrong_event_index": ("event", {"_id": 2}, {"$set": {"persons": []}}),
    "wrong_tally": ("meta", {"_id": "head"}, {"$inc": {"persons": 1}}),
    "wrong_assertion": ("assertion", {}, {"$set": {"lifted": 1}}),
    "foreign_key": ("assertion", {}, {"$set": {"left": [77, "A", "1"]}}),
    "unreadable_version": ("record", {"_id": 1}, {"$set": {"standard": b"?"}}),
    "wrong_blocking_key": ("record", {"_id": 1}, {"$unset": {"keys": 1}}),
    "errand_about_nothing": ("record", {"_id": 2}, {"$set": {"source_id": "9"}}),
    "replay": ("person", {"_id": 3}, {"$set": {"active": False}}),
}


@pytest.mark.parametrize("code", BREAKAGES)
async def test_verify_finds_what_is_broken(store: MongoStore, address: Address, code: str) -> None:
    first, second, _ = [await created(store, n, int(n)) for n in "123"]
    await merged(store, first, second)
    await store.commit(change(record=create("1", 7, family="JONES").record))
    await store.commit(change(assertions=(not_same("1", "3"),)))
    await store.queue([Errand(ErrandKind.POST, (key("2"),))])
    assert await store.verify() == []
    collection, which, update = BREAKAGES[code]
    with MongoClient[dict[str, Any]](address.uri) as client:
        broken = client[address.database][collection]
        if update:
            assert broken.update_one(which, update).modified_count == 1
        else:
            assert broken.delete_one(which).deleted_count == 1
    assert code in {violation.code for violation in await store.verify()}


async def test_verify_finds_a_missing_index(store: MongoStore, address: Address) -> None:
    with MongoClient[dict[str, Any]](address.uri) as client:
        client[address.database]["record"].drop_index("keys")
    assert [violation.code for violation in await store.verify()] == ["missing_index"]


async def test_indexes_that_were_dropped_are_made_again_by_whoever_opens_first(
    store: MongoStore, address: Address, logs: list[MutableMapping[str, Any]]
) -> None:
    await created(store, "1", 1)
    with MongoClient[dict[str, Any]](address.uri) as client:
        record = client[address.database]["record"]
        record.drop_indexes()
        others = [MongoStore(address) for _ in range(4)]
        await asyncio.gather(*(other.open(b"fingerprint", create=False) for other in others))
        assert {line["event"] for line in logs} == {"index_missing"}
        assert {line["where"] for line in logs} == {
            "record.source_source_id",
            "record.person",
            "record.keys",
        }
        made = record.index_information()
        assert (made["source_source_id"]["unique"], made["keys"]["sparse"]) == (True, True)
    assert await store.verify() == []
    for other in others:
        await other.close()


async def test_an_index_that_cannot_be_made_again_is_told_and_stops_no_start(
    store: MongoStore, address: Address, logs: list[MutableMapping[str, Any]]
) -> None:
    await created(store, "1", 1)
    with MongoClient[dict[str, Any]](address.uri) as client:
        record = client[address.database]["record"]
        record.drop_index("source_source_id")
        record.insert_one(record.find_one({}, {"_id": 0}) | {"_id": 2})  # type: ignore[operator]
    await store.open(b"fingerprint", create=False)
    assert [line["event"] for line in logs] == ["index_missing", "index_not_made"]
    assert logs[1]["problem"] == "DuplicateKey"
    assert "missing_index" in {violation.code for violation in await store.verify()}


async def test_an_index_that_somebody_made_again_under_another_name_is_one(
    store: MongoStore, address: Address, logs: list[MutableMapping[str, Any]]
) -> None:
    with MongoClient[dict[str, Any]](address.uri) as client:
        record = client[address.database]["record"]
        record.drop_index("source_source_id")
        record.create_index(["source", "source_id"], unique=True)
        await store.open(b"fingerprint", create=False)
        assert "source_source_id" not in record.index_information()
    assert logs == []
    assert await store.verify() == []


async def test_an_index_of_an_earlier_schema_keeps_the_indexes_that_it_has(
    store: MongoStore, address: Address
) -> None:
    """The index of blocking keys had larger pages once; MongoDB refuses to make it again with others."""
    with MongoClient[dict[str, Any]](address.uri) as client:
        database = client[address.database]
        database["record"].drop_index("keys")
        database["record"].create_index("keys", name="keys", sparse=True)
        database["errand"].drop()
        database["meta"].update_one({"_id": "head"}, {"$set": {"schema": 1}})
    later = MongoStore(address)
    await later.open(b"fingerprint")
    await created(later, "1", 1)
    assert await later.verify() == []
    await later.close()


async def test_an_index_of_our_name_that_finds_something_else_is_refused(
    store: MongoStore, address: Address
) -> None:
    with MongoClient[dict[str, Any]](address.uri) as client:
        database = client[address.database]
        database["record"].drop_index("source_source_id")
        database["record"].create_index(["source", "source_id"], name="source_source_id")
        database["meta"].update_one({"_id": "head"}, {"$set": {"schema": 1}})
    later = MongoStore(address)
    with pytest.raises(ConfigurationError, match="IndexKeySpecsConflict"):
        await later.open(b"fingerprint")
    await later.close()


async def test_the_index_of_keys_has_small_pages(store: MongoStore, address: Address) -> None:
    with MongoClient[dict[str, Any]](address.uri) as client:
        made = client[address.database]["record"].index_information()["keys"]
    assert made["storageEngine"] == {"wiredTiger": {"configString": "leaf_page_max=4KB"}}
