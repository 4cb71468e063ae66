"""The internal provider: what it decides, what that rests on, and for how long it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mpi.domain.identity import (
    NEW_PERSON,
    EventKind,
    IdentityChange,
    RecordMove,
    StoredRecord,
)
from mpi.errors import ConcurrentChange
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Outcome
from mpi.matching.placeholders import DEFAULT
from mpi.providers.internal import InternalProvider
from mpi.service.consequences import guarded
from mpi.service.preparation import Preparation
from mpi.stores.sqlite.store import SqliteStore, open_store
from tests.support.index import (
    MARGA,
    MARGA_IN_DOUBT,
    MODEL,
    OTTO,
    Index,
    in_use,
    indexing,
    key,
    submission,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """A provider over an index."""

    index: Index
    provider: InternalProvider

    async def mpi_id(self, source_id: str) -> str:
        found = await self.index.owner(source_id)
        assert found
        return found


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with indexing(tmp_path) as index:
        yield Bench(index, InternalProvider(index.store, in_use, narrowed=lambda _: None))


def prepared(fields: dict[str, str], source_id: str = "new") -> tuple[StoredRecord, BlockingKeys]:
    prepare = Preparation(b"k" * 32, DEFAULT, lambda: datetime(2026, 1, 5, tzinfo=UTC))
    return prepare.record(submission(fields, source_id))


async def test_a_new_record_is_compared_with_everybody(bench: Bench) -> None:
    await bench.index.add(MARGA, "1")
    found = await bench.provider.resolve(*prepared(MARGA))
    assert (found.decision.outcome, found.decision.mpi_id) == (
        Outcome.LINK,
        await bench.mpi_id("1"),
    )
    assert [person.mpi_id for person in found.persons] == [await bench.mpi_id("1")]
    assert found.position == await bench.index.store.position()


async def test_what_people_said_of_a_record_counts_even_when_it_is_only_asked_about(
    bench: Bench,
) -> None:
    await bench.index.add(MARGA, "1")
    await bench.index.add(OTTO, "2")
    await bench.index.stewards.assert_pair(
        "not-same", key("1"), key("2"), reason="seen", actor="ada"
    )
    answer = await bench.index.mpi.resolve(submission(MARGA, "2"), enroll=False, actor="ada")
    assert (answer.status, answer.mpi_id) != ("matched", await bench.mpi_id("1"))
    assert "not_same_assertion" in {v for c in answer.candidates for v in c.vetoes}


async def test_a_record_alone_in_its_person_is_compared_with_everybody_else(bench: Bench) -> None:
    await bench.index.add(MARGA, "1")
    home = await bench.index.store.person(await bench.mpi_id("1"))
    found = await bench.provider.resolve(*prepared(MARGA, "1"), home=home)
    assert (found.decision.outcome, found.persons) == (Outcome.NEW, ())


@pytest.mark.parametrize(
    ("fields", "outcome"), [(MARGA, Outcome.LINK), (OTTO, Outcome.REVIEW)], ids=["same", "other"]
)
async def test_a_record_in_company_stays_or_becomes_a_question(
    bench: Bench, fields: dict[str, str], outcome: Outcome
) -> None:
    await bench.index.add(MARGA, "1")
    await bench.index.add(MARGA, "2")
    await bench.index.add(OTTO, "3")
    home = await bench.index.store.person(await bench.mpi_id("1"))
    found = await bench.provider.resolve(*prepared(fields, "1"), home=home)
    assert (found.decision.outcome, found.decision.mpi_id) == (outcome, await bench.mpi_id("1"))
    (compared,) = found.persons
    assert [record.key for record in compared.records] == [key("2")]


async def test_the_explanation_is_about_the_records_compared(bench: Bench) -> None:
    await bench.index.add(MARGA, "1")
    await bench.index.add(MARGA, "2")
    home = await bench.index.store.person(await bench.mpi_id("1"))
    record, keys = prepared(MARGA, "1")
    found = await bench.provider.resolve(record, keys, home=home)
    explanation = bench.provider.explain(record, found)
    assert explanation is not None
    assert found.decision.best is not None
    assert explanation.match_weight == found.decision.best.weight
    named = {row.record for row in explanation.rows if row.record}
    assert named == {("lab", "2")}


async def test_nobody_in_question_is_no_explanation(bench: Bench) -> None:
    record, keys = prepared(MARGA)
    assert bench.provider.explain(record, await bench.provider.resolve(record, keys)) is None


async def test_an_answer_rests_on_the_keys_that_were_asked(bench: Bench) -> None:
    _, keys = prepared(MARGA)
    found = await bench.provider.resolve(*prepared(MARGA))
    assert set(found.blocking_keys) == {wide for wide, _ in keys}


async def test_narrowed_blocks_are_reported_and_the_narrower_keys_count_too(
    tmp_path: Path,
) -> None:
    async with indexing(tmp_path) as index:
        for number in range(4):
            await index.add({**MARGA_IN_DOUBT, "ssn": f"68{number}-90-3124"}, str(number))
    store: SqliteStore = open_store(tmp_path / "index.sqlite3", b"fingerprint", block_limit=2)
    told: Counter[str] = Counter()
    provider = InternalProvider(store, in_use, narrowed=lambda n: told.update(narrowed=n))
    record, keys = prepared(MARGA)
    found = await provider.resolve(record, keys)
    store.close()
    assert told["narrowed"] > 0
    assert set(found.blocking_keys) == {k for wide, narrower in keys for k in (wide, *narrower)}


@pytest.mark.parametrize(
    ("smallest", "expected"),
    [(320, 352 - 1), (1, 0), (64, 70 - 1)],
    ids=["small index", "no growth", "a tenth"],
)
async def test_growth_of_the_index_by_a_tenth_ends_what_it_decided(
    bench: Bench, smallest: int, expected: int
) -> None:
    """The prior follows the size of the index; below the model's smallest size it stands still."""
    await bench.index.add(MARGA, "1")
    model = replace(MODEL, smallest_index=smallest)
    provider = InternalProvider(bench.index.store, lambda: model, narrowed=lambda _: None)
    found = await provider.resolve(*prepared(MARGA))
    assert found.valid_until - found.position == expected
    assert abs(model.prior(found.index_size) - model.prior(found.index_size + expected)) < 0.15


@pytest.mark.parametrize("limit", ["link", "review"])
async def test_a_decision_near_a_threshold_ends_before_growth_could_change_it(
    bench: Bench, limit: str
) -> None:
    await bench.index.add(MARGA, "1")
    model = replace(MODEL, smallest_index=10_000)
    provider = InternalProvider(bench.index.store, lambda: model, narrowed=lambda _: None)
    far = await provider.resolve(*prepared(MARGA))
    assert far.decision.best is not None
    near = replace(model.thresholds, **{limit: far.decision.best.weight - 0.01})
    model = replace(model, thresholds=near)
    found = await provider.resolve(*prepared(MARGA))
    records = found.index_size + found.valid_until - found.position
    assert 10_000 < records < 10_100
    assert model.prior(10_000) - model.prior(records) <= 0.01


async def test_a_decision_very_far_from_every_threshold_lasts_as_long_as_any(bench: Bench) -> None:
    await bench.index.add(MARGA, "1")
    far = dict.fromkeys(("link", "review", "possible", "impossible"), -1e6)
    model = replace(MODEL, smallest_index=320, thresholds=replace(MODEL.thresholds, **far))
    provider = InternalProvider(bench.index.store, lambda: model, narrowed=lambda _: None)
    found = await provider.resolve(*prepared(MARGA))
    assert found.valid_until - found.position == 352 - 1


NAMESAKE = {name: MARGA[name] for name in ("first_name", "last_name")}


@pytest.mark.parametrize(
    ("late", "early"), [(NAMESAKE, MARGA), (MARGA, NAMESAKE)], ids=["poor", "rich"]
)
async def test_a_commit_is_guarded_by_what_was_asked_for_and_by_what_is_stored(
    bench: Bench, late: dict[str, str], early: dict[str, str]
) -> None:
    """These two share one coarse key, under which the rich lie elsewhere than the others."""
    record, keys = prepared(late)
    found = await bench.provider.resolve(record, keys)
    await bench.index.add(early, "1")
    change = IdentityChange(
        kind=EventKind.CREATED,
        at=record.received_at,
        actor="test",
        record=record,
        moves=(RecordMove(record.key, None, NEW_PERSON),),
        position=found.position,
    )
    with pytest.raises(ConcurrentChange):
        await bench.index.store.commit(replace(change, guard_keys=guarded(record, found)))
