"""What every store of identities must do: records, persons and the neighbourhood of a key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mpi.domain.identity import NEW_PERSON, EventKind, Member, Neighbour
from mpi.domain.record import RecordStatus
from tests.contract.changes import (
    as_stored,
    change,
    create,
    created,
    delete,
    key,
    link,
    merged,
    move,
    not_same,
    plain,
    record,
)
from tests.contract.conftest import Index, Store


class TestRecordsAndPersons:
    async def test_an_empty_index_knows_nobody(self, store: Store) -> None:
        around = await store.candidates(plain(1, 2))
        assert (around.persons, around.position, around.index_size) == ((), 0, 0)
        assert await store.record(key("1")) is None
        assert await store.versions(key("1")) == ()
        assert await store.person("MPI-000000008") is None

    async def test_a_created_record_is_read_back_as_it_was_given(self, store: Store) -> None:
        mpi_id = await created(store, "1", 10, 11)
        expected = as_stored(record("1", 10, 11), 1, mpi_id)
        assert await store.record(key("1")) == expected
        assert await store.versions(key("1")) == (expected,)
        person = await store.person(mpi_id)
        assert person is not None
        assert (person.version, person.active, person.records) == (1, True, (expected,))

    async def test_a_neighbour_shows_what_its_records_are_compared_by(self, store: Store) -> None:
        submitted = record("1", 10)
        made = await store.commit(create("1", 10))
        evidence = Member(key("1"), submitted.standard)
        around = await store.candidates(plain(10))
        assert around.persons == (Neighbour(made.mpi_id or "", (evidence,)),)

    async def test_person_ids_rise_and_are_never_used_again(self, store: Store) -> None:
        first = await created(store, "1")
        await store.commit(delete("1", first, last=True))
        second = await created(store, "2")
        assert second > first

    async def test_an_update_keeps_the_older_version(self, store: Store) -> None:
        mpi_id = await created(store, "1", 10)
        newer = record("1", 20, family="JONES")
        await store.commit(change(record=newer))
        versions = await store.versions(key("1"))
        assert [(v.version, v.status) for v in versions] == [
            (1, RecordStatus.HISTORY),
            (2, RecordStatus.ACTIVE),
        ]
        assert await store.record(key("1")) == as_stored(newer, 2, mpi_id)
        person = await store.person(mpi_id)
        assert person is not None
        assert person.version == 2
        assert person.records == (as_stored(newer, 2, mpi_id),)

    async def test_a_version_for_history_changes_nothing_current(self, store: Store) -> None:
        mpi_id = await created(store, "1", 10)
        older = record("1", 20, family="JONES", status=RecordStatus.HISTORY)
        await store.commit(change(record=older))
        assert await store.record(key("1")) == as_stored(record("1", 10), 1, mpi_id)
        assert [v.status for v in await store.versions(key("1"))] == [
            RecordStatus.ACTIVE,
            RecordStatus.HISTORY,
        ]
        assert (await store.candidates(plain(20))).persons == ()

    async def test_a_deleted_record_stays_readable_without_a_person(self, store: Store) -> None:
        mpi_id = await created(store, "1", 10)
        await store.commit(delete("1", mpi_id, last=True))
        current = await store.record(key("1"))
        assert current is not None
        assert (current.status, current.mpi_id, current.version) == (RecordStatus.DELETED, None, 2)
        assert [v.status for v in await store.versions(key("1"))] == [
            RecordStatus.HISTORY,
            RecordStatus.DELETED,
        ]
        person = await store.person(mpi_id)
        assert person is not None
        assert (person.active, person.merged_into, person.records) == (False, None, ())

    async def test_a_deleted_record_can_come_back_to_its_person(self, store: Store) -> None:
        mpi_id = await created(store, "1", 10)
        await store.commit(delete("1", mpi_id, last=True))
        await store.commit(
            change(
                EventKind.REVIVED,
                record=record("1", 10),
                moves=(move("1", None, mpi_id),),
                revive=(mpi_id,),
            )
        )
        assert await store.record(key("1")) == as_stored(record("1", 10), 3, mpi_id)
        assert [p.mpi_id for p in (await store.candidates(plain(10))).persons] == [mpi_id]


class TestPendingVersions:
    async def test_a_pending_version_waits_beside_the_current_one(self, store: Store) -> None:
        mpi_id = await created(store, "1", 10)
        overlay = record("1", 20, family="JONES", status=RecordStatus.PENDING)
        made = await store.commit(change(record=overlay))
        assert made.event.record_version == 2
        assert await store.record(key("1")) == as_stored(record("1", 10), 1, mpi_id)
        assert (await store.versions(key("1")))[1] == as_stored(overlay, 2, mpi_id)
        assert (await store.candidates(plain(20))).persons == ()

    async def test_the_same_pending_content_is_kept_once(self, store: Store) -> None:
        await created(store, "1", 10)
        overlay = record("1", 20, family="JONES", status=RecordStatus.PENDING)
        await store.commit(change(record=overlay))
        again = await store.commit(change(record=overlay))
        assert again.event.record_version == 2
        assert len(await store.versions(key("1"))) == 2

    async def test_a_rejected_one_becomes_history(self, store: Store) -> None:
        await created(store, "1", 10)
        overlay = record("1", 20, family="JONES", status=RecordStatus.PENDING)
        await store.commit(change(record=overlay))
        await store.commit(change(record=replace(overlay, status=RecordStatus.HISTORY)))
        assert [v.status for v in await store.versions(key("1"))] == [
            RecordStatus.ACTIVE,
            RecordStatus.HISTORY,
        ]

    async def test_an_accepted_one_becomes_the_current_version(self, store: Store) -> None:
        mpi_id = await created(store, "1", 10)
        overlay = record("1", 20, family="JONES", status=RecordStatus.PENDING)
        await store.commit(change(record=overlay))
        accepted = replace(overlay, status=RecordStatus.ACTIVE)
        await store.commit(change(record=accepted))
        assert [v.status for v in await store.versions(key("1"))] == [
            RecordStatus.HISTORY,
            RecordStatus.HISTORY,
            RecordStatus.ACTIVE,
        ]
        assert await store.record(key("1")) == as_stored(accepted, 3, mpi_id)
        assert (await store.candidates(plain(10))).persons == ()
        assert len((await store.candidates(plain(20))).persons) == 1


class TestCandidates:
    async def test_one_shared_key_brings_the_person_with_all_its_records(
        self, store: Store
    ) -> None:
        mpi_id = await created(store, "1", 10)
        await store.commit(link("2", mpi_id, 20))
        await created(store, "3", 30)
        around = await store.candidates(plain(20, 99))
        assert [p.mpi_id for p in around.persons] == [mpi_id]
        assert [r.key for r in around.persons[0].records] == [key("1"), key("2")]
        assert (around.position, around.index_size, around.narrowed) == (3, 3, 0)

    async def test_persons_come_oldest_first_each_once(self, store: Store) -> None:
        first, second = await created(store, "1", 10, 11), await created(store, "2", 11, 12)
        around = await store.candidates(plain(12, 11, 10))
        assert [p.mpi_id for p in around.persons] == [first, second]

    async def test_a_deleted_record_is_no_evidence(self, store: Store) -> None:
        mpi_id = await created(store, "1", 10)
        await store.commit(link("2", mpi_id, 20))
        await store.commit(delete("2", mpi_id))
        assert (await store.candidates(plain(20))).persons == ()
        (person,) = (await store.candidates(plain(10))).persons
        assert [r.key for r in person.records] == [key("1")]

    async def test_after_an_update_only_the_new_keys_lead_to_the_record(self, store: Store) -> None:
        await created(store, "1", 10, 11)
        await store.candidates(plain(10, 11))
        await store.commit(change(record=record("1", 11, 12, family="JONES")))
        assert (await store.candidates(plain(10))).persons == ()
        for found in (11, 12):
            (person,) = (await store.candidates(plain(found))).persons
            assert person.records[0].standard.family == ("JONES",)

    async def test_keys_may_be_any_signed_64_bit_number(self, store: Store) -> None:
        lowest, highest = -(2**63), 2**63 - 1
        await created(store, "1", lowest, 0, highest)
        for found in (lowest, 0, highest):
            assert len((await store.candidates(plain(found))).persons) == 1

    async def test_a_merge_shows_one_person_with_both_records(self, store: Store) -> None:
        first, second = await created(store, "1", 10), await created(store, "2", 20)
        await store.candidates(plain(10, 20))
        await merged(store, first, second)
        (person,) = (await store.candidates(plain(20))).persons
        assert person.mpi_id == first
        assert [r.key for r in person.records] == [key("1"), key("2")]

    async def test_assertions_of_the_records_come_along(self, store: Store) -> None:
        await created(store, "1", 10)
        await created(store, "2", 20)
        await store.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "2"),)))
        for found in (10, 20):
            assert (await store.candidates(plain(found))).assertions == (not_same("1", "2"),)
        assert (await store.candidates(plain(30))).assertions == ()


class TestLargeBlocks:
    @pytest.fixture
    async def crowded(self, index: Index) -> Store:
        """Five records under key 1; one of them under the narrower key 100 too."""
        store = await index.open(block_limit=3)
        for number in range(5):
            await created(store, str(number), 1, *((100,) if number == 4 else ()))
        return store

    async def test_are_narrowed_by_a_further_trait(self, crowded: Store) -> None:
        around = await crowded.candidates(((1, (100, 101)),))
        assert [p.records[0].key for p in around.persons] == [key("4")]
        assert around.narrowed == 1

    async def test_without_a_narrower_key_are_read_nevertheless(self, crowded: Store) -> None:
        around = await crowded.candidates(((1, ()),))
        assert (len(around.persons), around.narrowed) == (5, 1)

    async def test_do_not_keep_smaller_ones_from_being_read(self, crowded: Store) -> None:
        await created(crowded, "9", 2)
        around = await crowded.candidates(((1, (100,)), (2, ())))
        assert [p.records[0].key for p in around.persons] == [key("4"), key("9")]
        assert around.narrowed == 1

    async def test_many_small_blocks_are_not_a_large_one(self, index: Index) -> None:
        store = await index.open(block_limit=3)
        for number in range(5):
            await created(store, str(number), number)
        around = await store.candidates(plain(*range(5)))
        assert (len(around.persons), around.narrowed) == (5, 0)


class TestAliases:
    async def test_a_merged_person_points_to_its_survivor(self, store: Store) -> None:
        first, second = await created(store, "1"), await created(store, "2")
        await merged(store, first, second)
        retired = await store.person(second)
        assert retired is not None
        assert (retired.active, retired.merged_into, retired.records) == (False, first, ())
        survivor = await store.person(first)
        assert survivor is not None
        assert [r.key for r in survivor.records] == [key("1"), key("2")]

    async def test_undoing_the_merge_restores_the_exact_partition(self, store: Store) -> None:
        first, second = await created(store, "1"), await created(store, "2")
        await merged(store, first, second)
        await store.commit(
            change(EventKind.UNDONE, moves=(move("2", first, second),), revive=(second,))
        )
        for mpi_id, source_id in ((first, "1"), (second, "2")):
            person = await store.person(mpi_id)
            assert person is not None
            assert (person.active, person.merged_into) == (True, None)
            assert [r.key for r in person.records] == [key(source_id)]

    async def test_a_person_can_retire_into_one_that_is_minted_with_it(self, store: Store) -> None:
        first = await created(store, "1")
        made = await store.commit(
            change(
                EventKind.MERGED,
                moves=(move("1", first, NEW_PERSON),),
                retire=((first, NEW_PERSON),),
            )
        )
        retired = await store.person(first)
        assert retired is not None
        assert retired.merged_into == made.mpi_id


class TestCommittedAnswers:
    async def test_names_the_minted_person_and_the_event(self, store: Store) -> None:
        made = await store.commit(create("1", reason="first seen", detail={"weight": 1.5}))
        event = made.event
        assert made.mpi_id is not None
        assert (event.seq, event.kind, event.actor) == (1, EventKind.CREATED, "tester")
        assert (event.reason, event.detail) == ("first seen", {"weight": 1.5})
        assert event.moves == (move("1", None, made.mpi_id),)
        assert event.persons == (made.mpi_id,)
        assert (event.record, event.record_version) == (key("1"), 1)

    async def test_names_the_person_that_was_joined(self, store: Store) -> None:
        mpi_id = await created(store, "1")
        assert (await store.commit(link("2", mpi_id))).mpi_id == mpi_id

    async def test_names_the_holder_of_an_updated_record(self, store: Store) -> None:
        mpi_id = await created(store, "1")
        assert (await store.commit(change(record=record("1", family="X")))).mpi_id == mpi_id
