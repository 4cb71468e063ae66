"""What every store must refuse, and that a refusal leaves nothing behind."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import pytest

from mpi.domain.identity import NEW_PERSON, AssertionKind, EventKind, IdentityChange
from mpi.domain.record import RecordStatus
from mpi.errors import ConcurrentChange, Conflict, PreconditionFailed
from tests.contract.changes import (
    asserted,
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
    plain,
    record,
    review,
)
from tests.contract.conftest import Store

Two = tuple[str, str]
Refused = Callable[[IdentityChange, type[Exception]], Awaitable[None]]


class TestNewcomers:
    async def test_who_is_known_by_then_takes_nobody_else_along(
        self, store: Store, other: Store
    ) -> None:
        """Two processes register the same record; one of them has another registration under way as well."""
        mpi_id = await created(other, "1", 10)
        late, beside = await asyncio.gather(
            store.commit(create("1", 10)), store.commit(create("2", 20)), return_exceptions=True
        )
        assert isinstance(late, ConcurrentChange)
        assert late.__context__ is None  # drivers' texts quote documents
        assert "SMITH" not in "".join(traceback.format_exception(late)).upper()
        assert not isinstance(beside, BaseException)
        assert [e.persons for e in await store.events()] == [(mpi_id,), (beside.mpi_id,)]

    async def test_who_is_known_by_then_spoils_no_other_change_of_the_record(
        self, store: Store, other: Store
    ) -> None:
        await created(other, "1", 10)
        late, update = await asyncio.gather(
            store.commit(create("1", 10, position=0, guard_keys=(10,))),
            store.commit(change(record=record("1", 11, family="JONES"))),
            return_exceptions=True,
        )
        assert isinstance(late, ConcurrentChange)
        assert not isinstance(update, BaseException)


class TestRefusals:
    """Each leaves the index as it was."""

    @pytest.fixture
    async def two(self, store: Store) -> tuple[str, str]:
        return await created(store, "1", 10), await created(store, "2", 20)

    @pytest.fixture
    def refused(self, store: Store) -> Refused:
        async def attempt(wrong: IdentityChange, error: type[Exception]) -> None:
            async def everything() -> object:
                return (
                    await store.statistics(),
                    await store.events(),
                    await store.candidates(plain(10, 20, 30)),
                    [await store.versions(key(i)) for i in "123"],
                    await store.tasks(None),
                )

            before = await everything()
            with pytest.raises(error) as caught:
                await store.commit(wrong)
            assert type(caught.value) is error
            assert await everything() == before

        return attempt

    async def test_a_record_that_changed_hands(self, two: Two, refused: Refused) -> None:
        first, second = two
        wrong = change(EventKind.MOVED, moves=(move("1", second, first),))
        await refused(wrong, ConcurrentChange)

    async def test_a_registration_that_somebody_else_made_first(
        self, two: Two, refused: Refused
    ) -> None:
        await refused(create("1", 30), ConcurrentChange)

    async def test_a_target_that_was_retired(
        self, two: Two, store: Store, refused: Refused
    ) -> None:
        first, second = two
        await merged(store, first, second)
        await refused(link("3", second, 30), ConcurrentChange)

    async def test_a_survivor_that_was_retired(
        self, two: Two, store: Store, refused: Refused
    ) -> None:
        first, second = two
        third = await created(store, "3")
        await merged(store, first, second)
        person = await store.person(third)
        assert person is not None
        await refused(merge(second, person), ConcurrentChange)

    async def test_a_person_retired_twice(self, two: Two, store: Store, refused: Refused) -> None:
        first, second = two
        await merged(store, first, second)
        await refused(change(retire=((second, first),)), ConcurrentChange)

    async def test_reviving_the_living(self, two: Two, refused: Refused) -> None:
        await refused(change(revive=(two[0],)), ConcurrentChange)

    async def test_a_person_left_without_a_record(self, two: Two, refused: Refused) -> None:
        first, second = two
        await refused(change(moves=(move("2", second, first),)), Conflict)

    async def test_retiring_a_person_that_holds_records(self, two: Two, refused: Refused) -> None:
        first, second = two
        await refused(change(retire=((second, first),)), Conflict)

    async def test_an_active_record_outside_any_person(self, two: Two, refused: Refused) -> None:
        _, second = two
        await refused(change(moves=(move("2", second, None),), retire=((second, None),)), Conflict)
        await refused(change(record=record("3", 30)), Conflict)

    async def test_a_deletion_that_leaves_the_record_in_its_person(
        self, two: Two, refused: Refused
    ) -> None:
        await refused(change(record=record("1", status=RecordStatus.DELETED)), Conflict)

    async def test_a_first_version_that_is_not_active(self, two: Two, refused: Refused) -> None:
        for status in (RecordStatus.PENDING, RecordStatus.HISTORY, RecordStatus.DELETED):
            await refused(change(record=record("3", status=status)), Conflict)

    async def test_names_that_nobody_bears(self, two: Two, refused: Refused) -> None:
        first, _ = two
        await refused(link("3", "MPI-00000000X"), Conflict)
        await refused(change(moves=(move("3", None, first),)), Conflict)
        await refused(change(assertions=(not_same("1", "3"),)), Conflict)
        await refused(change(tasks=(review("3", first),)), Conflict)
        await refused(change(tasks=(review("1", "MPI-00000000X"),)), Conflict)
        await refused(change(undoes="EVT-00000000X"), Conflict)

    async def test_one_record_moved_twice(self, two: Two, refused: Refused) -> None:
        first, second = two
        twice = (move("2", second, first), move("2", second, NEW_PERSON))
        await refused(change(moves=twice, retire=((second, first),)), Conflict)

    async def test_an_outdated_version_of_a_person(
        self, two: Two, store: Store, refused: Refused
    ) -> None:
        first, _ = two
        await store.commit(link("3", first, expected_versions=((first, 1),)))
        await refused(
            change(record=record("1", family="X"), expected_versions=((first, 1),)),
            PreconditionFailed,
        )
        await refused(change(expected_versions=(("MPI-00000000X", 1),)), PreconditionFailed)

    async def test_undoing_what_is_undone(self, two: Two, store: Store, refused: Refused) -> None:
        first, second = two
        person = await store.person(second)
        assert person is not None
        event_id = (await store.commit(merge(first, person))).event.event_id
        undo = change(
            EventKind.UNDONE,
            moves=(move("2", first, second),),
            revive=(second,),
            undoes=event_id,
        )
        await store.commit(undo)
        await merged(store, first, second)
        await refused(undo, ConcurrentChange)


class TestNeighbourhoodGuard:
    async def test_a_new_record_under_a_guarded_key_is_a_conflict(
        self, store: Store, other: Store
    ) -> None:
        around = await store.candidates(plain(10))
        await created(other, "1", 10)
        with pytest.raises(ConcurrentChange):
            await store.commit(create("2", 10, position=around.position, guard_keys=(10, 11)))

    async def test_a_record_elsewhere_is_none(self, store: Store, other: Store) -> None:
        around = await store.candidates(plain(10))
        await created(other, "1", 99)
        await store.commit(create("2", 10, position=around.position, guard_keys=(10, 11)))

    async def test_a_record_that_left_the_guarded_block_is_one(
        self, store: Store, other: Store
    ) -> None:
        await created(store, "1", 10)
        around = await store.candidates(plain(10))
        await other.commit(change(record=record("1", 99, family="X")))
        with pytest.raises(ConcurrentChange):
            await store.commit(create("2", 10, position=around.position, guard_keys=(10,)))

    async def test_a_change_of_a_person_that_the_change_names_is_one(
        self, store: Store, other: Store
    ) -> None:
        mpi_id = await created(store, "1", 10)
        around = await store.candidates(plain(10))
        await other.commit(link("2", mpi_id, 99))
        with pytest.raises(ConcurrentChange):
            await store.commit(link("3", mpi_id, 50, position=around.position))

    async def test_another_version_of_the_same_record_is_one(
        self, store: Store, other: Store
    ) -> None:
        await created(store, "1", 10)
        position = await store.position()
        await other.commit(change(record=record("1", 20, family="X")))
        with pytest.raises(ConcurrentChange):
            await store.commit(change(record=record("1", 30, family="Y"), position=position))

    async def test_an_assertion_about_the_neighbours_is_one(
        self, store: Store, other: Store
    ) -> None:
        await created(store, "1", 10)
        await created(store, "2", 20)
        around = await store.candidates(plain(10))
        await other.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "2"),)))
        with pytest.raises(ConcurrentChange):
            await store.commit(create("3", 10, position=around.position, guard_keys=(10,)))

    async def test_of_many_simultaneous_registrations_one_mints_the_person(
        self, store: Store, other: Store
    ) -> None:
        async def enroll(source_id: str, on: Store) -> None:
            while True:
                around = await on.candidates(plain(10))
                await asyncio.sleep(0)
                guard: dict[str, Any] = {"position": around.position, "guard_keys": (10,)}
                try:
                    if around.persons:
                        await on.commit(link(source_id, around.persons[0].mpi_id, 10, **guard))
                    else:
                        await on.commit(create(source_id, 10, **guard))
                except ConcurrentChange:
                    continue
                return

        await asyncio.gather(*(enroll(str(i), (store, other)[i % 2]) for i in range(16)))
        (person,) = (await store.candidates(plain(10))).persons
        assert len(person.records) == 16


class TestAssertions:
    async def test_are_found_from_either_record(self, store: Store) -> None:
        for source_id in "123":
            await created(store, source_id)
        pair = not_same("1", "2")
        await store.commit(change(EventKind.ASSERTED, assertions=(pair,)))
        assert await store.assertions([key("1")]) == (pair,)
        assert await store.assertions([key("2"), key("1")]) == (pair,)
        assert await store.assertions([key("3"), key("unknown")]) == ()

    async def test_name_the_event_that_made_them(self, store: Store) -> None:
        await created(store, "1")
        await created(store, "2")
        made = await store.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "2"),)))
        (found,) = await store.assertions([key("1")])
        assert found.event_id == made.event.event_id

    async def test_lifted_ones_are_gone(self, store: Store) -> None:
        await created(store, "1")
        await created(store, "2")
        await store.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "2"),)))
        await store.commit(change(EventKind.LIFTED, lift=(not_same("2", "1"),)))
        assert await store.assertions([key("1")]) == ()
        with pytest.raises(ConcurrentChange):
            await store.commit(change(EventKind.LIFTED, lift=(not_same("1", "2"),)))

    async def test_many_are_made_and_lifted_in_one_change(self, store: Store) -> None:
        """Of large persons they are worked out together: one by one it took minutes."""
        ours, theirs = [f"a{n}" for n in range(50)], [f"b{n}" for n in range(50)]
        for first, *more in (ours, theirs):
            person = await created(store, first)
            await store.commit(*(link(name, person) for name in more))
        said = tuple(not_same(one, other) for one in ours for other in theirs)
        began = monotonic()
        await store.commit(change(EventKind.ASSERTED, assertions=said))
        assert len(await store.assertions([key("a7")])) == len(theirs)
        assert len(await store.assertions([key("b7")])) == len(ours)
        await store.commit(change(EventKind.ASSERTED, assertions=said))
        assert (await store.statistics())["assertions"] == len(said)
        await store.commit(change(EventKind.LIFTED, lift=said))
        assert await store.assertions([key(name) for name in (*ours, *theirs)]) == ()
        assert monotonic() - began < 20

    async def test_the_same_one_twice_counts_once(self, store: Store) -> None:
        await created(store, "1")
        await created(store, "2")
        await store.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "2"),)))
        await store.commit(change(EventKind.ASSERTED, assertions=(not_same("2", "1"),)))
        assert len(await store.assertions([key("1")])) == 1
        assert (await store.statistics())["assertions"] == 1

    async def test_same_and_not_same_exclude_each_other(self, store: Store) -> None:
        first = await created(store, "1")
        await store.commit(link("2", first))
        same = asserted(AssertionKind.SAME, "2", "1")
        await store.commit(change(EventKind.ASSERTED, assertions=(same,)))
        with pytest.raises(Conflict, match="opposite"):
            await store.commit(
                change(
                    EventKind.ASSERTED,
                    assertions=(not_same("1", "2"),),
                    moves=(move("2", first, NEW_PERSON),),
                )
            )

    async def test_a_record_is_always_the_same_as_itself(self, store: Store) -> None:
        await created(store, "1")
        with pytest.raises(Conflict):
            await store.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "1"),)))

    async def test_no_person_ever_holds_two_records_that_are_not_the_same(
        self, store: Store
    ) -> None:
        first, second, third = [await created(store, i) for i in "123"]
        await store.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "3"),)))
        await merged(store, second, third)
        with pytest.raises(Conflict, match="asserted"):
            await merged(store, first, second)
        with pytest.raises(Conflict, match="asserted"):
            await store.commit(change(EventKind.ASSERTED, assertions=(not_same("2", "3"),)))
        assert (await store.person(second)) is not None

    async def test_outlive_the_deletion_of_their_records(self, store: Store) -> None:
        first = await created(store, "1")
        second = await created(store, "2")
        await store.commit(change(EventKind.ASSERTED, assertions=(not_same("1", "2"),)))
        await store.commit(delete("2", second, last=True))
        assert await store.assertions([key("2")]) == (not_same("1", "2"),)
        with pytest.raises(Conflict):
            await store.commit(link("2", first))
