"""`verify` finds whatever breaks an invariant: each test breaks one on purpose."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.identity import NEW_PERSON, EventKind, TaskStatus, TaskUpdate
from mpi.domain.record import RecordStatus
from mpi.errors import ConfigurationError, Conflict
from mpi.stores.sqlite.migrations import MIGRATIONS
from mpi.stores.sqlite.schema import APPLICATION_ID
from mpi.stores.sqlite.store import SqliteStore, open_store
from mpi.stores.sqlite.verify import CHECKS, verify_store
from mpi.stores.verification import UNASKED
from tests.contract.changes import (
    change,
    create,
    created,
    delete,
    key,
    link,
    merge,
    merged,
    move,
    not_same,
    record,
    review,
)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """An index in which everything has happened once; five records, three persons, one alias."""
    path = tmp_path / "index.sqlite3"
    store = open_store(path, b"fingerprint")
    first, second, third = [await created(store, i, int(i) * 10) for i in "123"]
    await store.commit(link("4", first, 40, 41))
    await merged(store, first, second)
    await store.commit(change(record=record("4", 41, 42, family="JONES")))
    await store.commit(create("5", 50))
    await store.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "3"),)))
    await store.commit(delete("3", third, last=True))
    (task,) = (await store.commit(change(tasks=(review("1", third),)))).task_ids
    await store.commit(change(task_updates=(TaskUpdate(task, TaskStatus.CLAIMED, "ann"),)))
    await store.queue([Errand(ErrandKind.POST, (key("5"),))])
    store.close()
    return path


def break_by(path: Path, *statements: str) -> None:
    """Write what no constraint and no trigger would let pass."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            raw.execute(statement)


def codes(path: Path) -> set[str]:
    return {violation.code for violation in verify_store(path)}


def test_an_index_that_lived_through_everything_is_whole(path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    assert verify_store(path, lambda *step: told.append(step)) == []
    assert [number for _, number, _ in told] == list(range(1, len(CHECKS) + 1))
    assert {total for _, _, total in told} == {len(CHECKS)}


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        (["UPDATE record SET person = 99 WHERE id = 1"], "foreign_key"),
        (["UPDATE record SET person = NULL WHERE id = 1"], "record_without_person"),
        (["UPDATE record SET person = 2 WHERE id = 1"], "record_without_person"),
        (["UPDATE record SET person = 1 WHERE id = 3"], "deleted_record_with_person"),
        (["UPDATE record SET version = 9 WHERE id = 4"], "wrong_current_version"),
        (["UPDATE record SET version = 1 WHERE id = 4"], "wrong_current_version"),
        (
            ["UPDATE record_version SET status = 'active' WHERE record = 4 AND version = 1"],
            "wrong_current_version",
        ),
        (["UPDATE record SET person = 4 WHERE person = 1"], "empty_person"),
        (["UPDATE person SET merged_into = id WHERE id = 2"], "alias_without_end"),
        (
            [
                "UPDATE person SET merged_into = 3 WHERE id = 2",
                "UPDATE person SET merged_into = 2 WHERE id = 3",
            ],
            "alias_without_end",
        ),
        (["UPDATE assertion SET right_record = 2"], "not_same_in_one_person"),
        (["UPDATE record SET person = 4 WHERE id = 4"], "wrong_link"),
        (["UPDATE record_version SET status = 'pending' WHERE status = 'history'"], UNASKED),
        (["INSERT INTO link VALUES (1, 9, 1, NULL)"], "wrong_link"),
        (["INSERT INTO blocking_key VALUES (30, 3)"], "wrong_blocking_key"),
        (["INSERT INTO blocking_key VALUES (31, 77)"], "wrong_blocking_key"),
        (["INSERT INTO blocking_recent VALUES (30, 3)"], "wrong_blocking_key"),
        (["DELETE FROM blocking_log WHERE record = 4"], "wrong_blocking_key"),
        (["UPDATE blocking_log SET added = x'01' WHERE record = 4"], "unreadable_version"),
        (["INSERT INTO blocking_key VALUES (43, 4)"], "wrong_blocking_key"),
        (["INSERT INTO event VALUES (99, 'moved', 0, 'x', NULL, NULL, '{}')"], "event_gap"),
        (
            ["DROP TRIGGER event_is_never_deleted", "DELETE FROM event WHERE seq = 1"],
            "event_gap",
        ),
        (
            ["DROP TRIGGER event_is_never_changed", "UPDATE event SET undoes = 9 WHERE seq = 2"],
            "event_undoes_later",
        ),
        *(
            ([f"UPDATE tally SET {column} = {column} - 1"], "wrong_tally")
            for column in ("records", "persons", "retired", "tasks_open", "assertions", "minted")
        ),
        (["DROP TRIGGER event_is_never_changed"], "missing_trigger"),
        (["UPDATE record SET source_id = '9' WHERE source_id = '5'"], "errand_about_nothing"),
        (["DROP TRIGGER link_is_never_deleted"], "missing_trigger"),
        (["DROP TRIGGER model_is_never_changed"], "missing_trigger"),
        (["UPDATE person SET mpi_id = 'MPI-000000019' WHERE id = 1"], "person_id"),
        (["DELETE FROM meta WHERE name = 'hmac_fingerprint'"], "fingerprint"),
        (["UPDATE record_version SET standard = x'01' WHERE id = 1048577"], "unreadable_version"),
        (
            ["UPDATE record_version SET demographics = x'025b5d' WHERE id = 1048577"],
            "unreadable_version",
        ),
        (
            ["UPDATE record_version SET blocking_keys = x'00' WHERE id = 1048577"],
            "unreadable_version",
        ),
        (["UPDATE record SET person = 4 WHERE id = 4"], "replay"),
        (["UPDATE record SET source_id = 'X' WHERE id = 4"], "replay"),
        (["UPDATE person SET merged_into = 4 WHERE id = 2"], "replay"),
        (["UPDATE person SET active = 1, merged_into = NULL WHERE id = 2"], "replay"),
        (
            ["INSERT INTO event VALUES (12, 'moved', 0, 'x', NULL, NULL, 'not json')"],
            "replay",
        ),
    ],
)
def test_a_broken_invariant_is_found(path: Path, statements: list[str], code: str) -> None:
    break_by(path, *statements)
    assert code in codes(path)


@pytest.mark.parametrize(
    ("payload", "finding"),
    [
        ('{"revived": ["MPI-000000019"]}', "which was active"),
        ('{"retired": [["MPI-00000003D", null]]}', "which was not active"),
        ('{"moves": [["HOSP-A", "1", null, null]]}', "did not hold it"),
        ('{"moves": [["HOSP-A", "9", null, "MPI-000000019"]]}', "records of the history"),
    ],
)
def test_events_that_contradict_each_other_are_found(
    path: Path, payload: str, finding: str
) -> None:
    with closing(sqlite3.connect(path)) as raw:
        ids = dict(raw.execute("SELECT id, mpi_id FROM person"))
    payload = payload.replace("MPI-000000019", ids[1]).replace("MPI-00000003D", ids[3])
    break_by(path, f"INSERT INTO event VALUES (12, 'moved', 0, 'x', NULL, NULL, '{payload}')")
    assert any(finding in violation.detail for violation in verify_store(path))


def test_a_damaged_page_is_found(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * 9 + 8 : 4096 * 10] = b"\xff" * 4088
    path.write_bytes(content)
    assert codes(path) == {"integrity"}


def test_what_is_no_database_at_all_is_found(path: Path) -> None:
    path.write_bytes(b"noise" * 1_000)
    assert codes(path) == {"integrity"}


def test_a_missing_table_is_found(path: Path) -> None:
    break_by(path, "DROP TABLE errand")
    assert "integrity" in codes(path)


def test_what_another_process_holds_is_not_broken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpi.stores.sqlite.schema.OPEN_DEADLINE", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigurationError, match="stays locked"):
            verify_store(path)


def test_what_this_user_may_not_open_is_not_broken(path: Path) -> None:
    path.with_name(f"{path.name}-wal").mkdir()  # not even root can open it as the log
    with pytest.raises(ConfigurationError, match=r"cannot be opened for writing \(SQLITE_CANTOPEN"):
        verify_store(path)


def test_findings_of_one_kind_are_limited_and_show_no_source_ids(path: Path) -> None:
    break_by(path, "UPDATE record SET person = NULL, source_id = 'SENTINEL' || id")
    found = verify_store(path, most=2)
    assert len([v for v in found if v.code == "record_without_person"]) == 2
    assert "SENTINEL" not in str(found)


def test_a_missing_or_foreign_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no database"):
        verify_store(tmp_path / "none")
    with closing(sqlite3.connect(tmp_path / "foreign")) as raw:
        raw.execute("CREATE TABLE song (title TEXT)")
    with pytest.raises(ConfigurationError, match="not an index of ours"):
        verify_store(tmp_path / "foreign")
    (tmp_path / "begun").touch()
    with pytest.raises(ConfigurationError, match="making was interrupted"):
        verify_store(tmp_path / "begun")
    with closing(open_store(tmp_path / "begun", b"fingerprint")):
        assert verify_store(tmp_path / "begun") == []


def test_an_index_of_an_older_version_has_to_be_taken_over_first(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.executescript(MIGRATIONS[0])
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute("PRAGMA user_version = 1")
    with pytest.raises(ConfigurationError, match="schema 1 of an older version"):
        verify_store(path)
    with closing(open_store(path, b"fingerprint")):
        assert verify_store(path) == []


class TestAnyHistory:
    """Random changes, sensible or not: whatever was accepted leaves an index that is whole."""

    @pytest.mark.parametrize("seed", range(4))
    async def test_leaves_a_whole_index(self, tmp_path: Path, seed: int) -> None:
        path = tmp_path / "index.sqlite3"
        store = open_store(path, b"fingerprint")
        chance = random.Random(seed)
        accepted = 0
        for step in range(300):
            act = chance.choice([enroll, update, remove, join, split, assert_pair, undo])
            try:
                await act(store, chance, step)
                accepted += 1
            except Conflict:
                continue
        assert accepted > 100
        store.close()
        # To ask about a version that waits is left to who commits it.
        assert {violation.code for violation in verify_store(path)} <= {UNASKED}


async def some_record(store: SqliteStore, chance: random.Random) -> tuple[str, str]:
    """The source id and the person of an active record."""
    rows = [row async for row in store.crosswalk()]
    if not rows:
        raise Conflict("nobody is registered yet")
    found, mpi_id = chance.choice(rows)
    return found.source_id, mpi_id


async def enroll(store: SqliteStore, chance: random.Random, step: int) -> None:
    keys = chance.sample(range(40), 3)
    around = await store.candidates(tuple((k, ()) for k in keys))
    if around.persons and chance.random() < 0.7:
        await store.commit(link(f"{step}", chance.choice(around.persons).mpi_id, *keys))
    else:
        await store.commit(create(f"{step}", *keys))


async def update(store: SqliteStore, chance: random.Random, step: int) -> None:
    source_id, _ = await some_record(store, chance)
    status = chance.choice([RecordStatus.ACTIVE, RecordStatus.PENDING, RecordStatus.HISTORY])
    keys = chance.sample(range(40), 3)
    family = chance.choice(["SMITH", "JONES", "BROWN"])
    await store.commit(change(record=record(source_id, *keys, family=family, status=status)))


async def remove(store: SqliteStore, chance: random.Random, step: int) -> None:
    source_id, mpi_id = await some_record(store, chance)
    person = await store.person(mpi_id)
    assert person is not None
    await store.commit(delete(source_id, mpi_id, last=len(person.records) == 1))


async def join(store: SqliteStore, chance: random.Random, step: int) -> None:
    (_, left), (_, right) = await some_record(store, chance), await some_record(store, chance)
    person = await store.person(max(left, right))
    assert person is not None
    await store.commit(merge(min(left, right), person))


async def split(store: SqliteStore, chance: random.Random, step: int) -> None:
    source_id, mpi_id = await some_record(store, chance)
    await store.commit(change(EventKind.MOVED, moves=(move(source_id, mpi_id, NEW_PERSON),)))


async def assert_pair(store: SqliteStore, chance: random.Random, step: int) -> None:
    (left, _), (right, _) = await some_record(store, chance), await some_record(store, chance)
    if (await store.assertions([key(left)])) and chance.random() < 0.5:
        await store.commit(change(EventKind.LIFTED, lift=await store.assertions([key(left)])))
    else:
        await store.commit(change(EventKind.ASSERTED, assertions=(not_same(left, right),)))


async def undo(store: SqliteStore, chance: random.Random, step: int) -> None:
    events = [e for e in await store.events() if e.kind is EventKind.MERGED and not e.undone_by]
    if not events:
        raise Conflict("nothing to undo")
    event = chance.choice(events)
    await store.commit(
        change(
            EventKind.UNDONE,
            moves=tuple(move(m.key.source_id, m.target, m.origin) for m in event.moves),
            revive=tuple(old for old, _ in event.retired),
            undoes=event.event_id,
        )
    )
