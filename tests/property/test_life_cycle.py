"""Random lives of identities on a real database: whatever happens, the invariants hold and the past can be told."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bench.daemons import Mongod
from mpi.domain.identity import NEW_PERSON, AssertionKind, Event, EventKind
from mpi.domain.record import Demographics, RecordKey, RecordStatus
from mpi.errors import ConcurrentChange, Gone, MpiError
from mpi.stores.mongodb.opening import Address
from mpi.stores.mongodb.store import MongoStore
from mpi.stores.sqlite.verify import verify_store
from mpi.stores.verification import Violation
from tests.support.index import (
    FINGERPRINT,
    GONE_ASTRAY,
    MARGA,
    MARGA_BY_BIRTH,
    MARGA_BY_NUMBER,
    MARGA_IN_DOUBT,
    OTTO,
    Index,
    indexing,
    key,
    submission,
)
from tests.support.stewards import BECAUSE

T = TypeVar("T")

PATIENTS = [
    MARGA,
    {**MARGA, "phone": "302-555-0199"},
    MARGA_BY_NUMBER,
    MARGA_BY_BIRTH,
    MARGA_IN_DOUBT,
    OTTO,
    {**OTTO, "address": MARGA["address"], "zip": MARGA["zip"]},
    {"last_name": "Vandersloot", "phone": "302-555-0123"},
    GONE_ASTRAY,
]
NAMES = [str(number) for number in range(1, 7)]
REVERSIBLE = {
    EventKind.LINKED,
    EventKind.REVIVED,
    EventKind.MERGED,
    EventKind.MOVED,
    EventKind.ASSERTED,
    EventKind.TASK_DECIDED,
    EventKind.UNDONE,
}

_MAY_BE_VOID = {EventKind.LINKED, EventKind.REVIVED}
"""A record alone in its person has nobody to be parted from."""

names = st.sampled_from(NAMES)
picks = st.integers(0, 50)
View = tuple[str, tuple[tuple[str, str], ...], Demographics]


class LifeCycle(RuleBasedStateMachine):
    """Registers, updates, deletes, merges, moves, asserts, decides and undoes at random."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.index: Index = self.run(self.stack.enter_async_context(self.opened()))
        self.minted: list[str] = []
        self.memories: list[tuple[datetime, str, View]] = []

    def opened(self) -> AbstractAsyncContextManager[Index]:
        """The index that lives."""
        return indexing(Path(self.folder.name))

    def violations(self) -> Sequence[Violation]:
        """What is wrong with it."""
        return verify_store(Path(self.folder.name) / "index.sqlite3")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)

    def attempt(self, work: Coroutine[Any, Any, T]) -> T | None:
        """A refusal is an answer; but nobody is there to be faster."""
        refusal: MpiError
        try:
            return self.run(work)
        except ConcurrentChange:
            raise
        except MpiError as error:
            refusal = error
        assert refusal.status < 500
        assert "lab" not in str(refusal.extra)
        return None

    def partition(self) -> dict[str, str]:
        return self.run(self.index.partition())

    def events(self) -> tuple[Event, ...]:
        return self.run(self.index.mpi.events(0, 10_000))

    def pick(self, first: int, second: int) -> tuple[str, str]:
        """Two different active records."""
        active = sorted(self.partition())
        left = first % len(active)
        return active[left], active[(left + 1 + second % (len(active) - 1)) % len(active)]

    @initialize(patients=st.lists(st.sampled_from(PATIENTS), min_size=2, max_size=len(NAMES)))
    def begin(self, patients: list[dict[str, str]]) -> None:
        for name, patient in zip(NAMES, patients, strict=False):
            self.register(name, patient)

    @rule(name=names, patient=st.sampled_from(PATIENTS))
    def register(self, name: str, patient: dict[str, str]) -> None:
        self.run(self.index.add(patient, name))

    @precondition(lambda self: len(self.partition()) > 2)
    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        name, _ = self.pick(pick, 0)
        self.run(self.index.mpi.delete_record(key(name), actor="ada"))

    @rule(first=picks, second=picks, override=st.booleans())
    def merge(self, first: int, second: int, override: bool) -> None:
        persons = [self.partition()[name] for name in self.pick(first, second)]
        self.attempt(self.index.stewards.merge(*persons, override=override, **BECAUSE))

    @rule(first=picks, second=picks, override=st.booleans())
    def move(self, first: int, second: int, override: bool) -> None:
        name, other = self.pick(first, second)
        target = self.partition()[other]
        if target == self.partition()[name]:
            target = NEW_PERSON
        self.attempt(self.index.stewards.move(key(name), target, override=override, **BECAUSE))

    @rule(
        kind=st.sampled_from(["same", "not-same"]),
        first=picks,
        second=picks,
        override=st.booleans(),
    )
    def state(
        self, kind: Literal["same", "not-same"], first: int, second: int, override: bool
    ) -> None:
        left, right = map(key, self.pick(first, second))
        self.attempt(
            self.index.stewards.assert_pair(kind, left, right, override=override, **BECAUSE)
        )

    @rule(
        pick=picks,
        outcome=st.sampled_from(["same", "not-same", "new", "accept", "reject"]),
        candidate=st.none() | picks,
    )
    def decide(self, pick: int, outcome: str, candidate: int | None) -> None:
        tasks = self.run(self.index.stewards.tasks(None, None, 1000))
        if tasks:
            task = tasks[-1 - pick % len(tasks)]
            named = None if candidate is None else task.candidates[candidate % len(task.candidates)]
            self.attempt(self.index.stewards.decide(task.task_id, outcome, mpi_id=named, **BECAUSE))

    @rule(pick=picks, days=st.integers(-1, 3))
    def put_off(self, pick: int, days: int) -> None:
        tasks = self.run(self.index.stewards.tasks(None, None, 1000))
        if tasks:
            until = self.index.clock.now + timedelta(days=days)
            task_id = tasks[-1 - pick % len(tasks)].task_id
            self.attempt(self.index.stewards.defer(task_id, until, **BECAUSE))

    @rule(pick=picks, cascade=st.booleans(), preview=st.booleans())
    def undo(self, pick: int, cascade: bool, preview: bool) -> None:
        events = self.events()
        open_ = [e for e in events if e.kind in REVERSIBLE and e.undone_by is None]
        if not open_:
            return
        event = open_[-1 - pick % len(open_)]
        before = (self.partition(), len(events))
        undone = self.attempt(
            self.index.stewards.undo(event.event_id, cascade=cascade, preview=preview, **BECAUSE)
        )
        if preview or undone is None:
            assert (self.partition(), len(self.events())) == before

    @rule()
    def take_back_the_last(self) -> None:
        """Undone at once, a decision leaves the exact earlier partition; undone again, the later one."""
        events = self.events()
        if not events or events[-1].kind not in REVERSIBLE:
            return
        last, now, then = events[-1], self.partition(), partition_before(events)
        undone = self.attempt(self.index.stewards.undo(last.event_id, **BECAUSE))
        if undone is None:
            assert now == self.partition()
            assert last.kind in _MAY_BE_VOID or then == now
            return
        newcomers = {move.key.source_id for move in last.moves if move.origin is None}
        back = self.partition()
        assert {n: p for n, p in back.items() if n not in newcomers} == then
        assert all(list(back.values()).count(back[name]) == 1 for name in newcomers)
        self.run(self.index.stewards.undo(undone.event_id or "", **BECAUSE))
        assert self.partition() == now

    @rule(name=names)
    def replay(self, name: str) -> None:
        """Whatever version of a record comes again, nothing changes; those before a deletion are none of it."""
        record = self.run(self.index.store.record(key(name)))
        if record is None or record.mpi_id is None:
            return
        before = (self.partition(), len(self.events()))
        known = self.run(self.index.store.versions(key(name)))
        while any(version.status is RecordStatus.DELETED for version in known):
            known = known[1:]
        for patient in PATIENTS:
            prepared = submission(patient, name).demographics
            if any(version.demographics == prepared for version in known):
                assert self.run(self.index.add(patient, name)).event_id is None
        assert (self.partition(), len(self.events())) == before

    @invariant()
    def every_record_belongs_to_one_person_and_every_person_holds_one(self) -> None:
        partition = self.partition()
        for mpi_id in set(partition.values()):
            state = self.run(self.index.store.person(mpi_id))
            assert state is not None
            assert state.active
            held = {record.key.source_id for record in state.records}
            assert held == {name for name, holder in partition.items() if holder == mpi_id}
        assert self.run(self.index.mpi.statistics())["persons"] == len(set(partition.values()))

    @invariant()
    def ids_are_never_used_again_and_resolve_for_ever(self) -> None:
        mentioned = {p for event in self.events() for p in event.persons}
        fresh = sorted(mentioned - set(self.minted))
        assert all(mpi_id > max(self.minted, default="") for mpi_id in fresh)
        self.minted += fresh
        for mpi_id in self.minted:
            try:
                assert self.run(self.index.mpi.person(mpi_id)).records
            except Gone:
                assert self.run(self.index.mpi.history(mpi_id))

    @invariant()
    def not_the_same_are_never_together(self) -> None:
        partition = self.partition()
        keys = [RecordKey("lab", name) for name in NAMES]
        for stated in self.run(self.index.store.assertions(keys)):
            left, right = stated.left.source_id, stated.right.source_id
            if stated.kind is AssertionKind.NOT_SAME and {left, right} <= partition.keys():
                assert partition[left] != partition[right]

    @invariant()
    def the_database_agrees_with_its_history(self) -> None:
        assert self.violations() == []

    @invariant()
    def what_is_known_now_is_remembered(self) -> None:
        moment = self.index.clock.now
        for mpi_id in self.minted[-4:]:
            view = self.attempt(self.view(mpi_id, None))
            if view is not None:
                self.memories.append((moment, mpi_id, view))

    async def view(self, mpi_id: str, moment: datetime | None) -> View:
        person = await self.index.mpi.person(mpi_id, moment)
        return person.mpi_id, tuple(sorted(person.crosswalk)), person.golden_record

    def teardown(self) -> None:
        for moment, mpi_id, view in self.memories[-40:]:
            assert self.run(self.view(mpi_id, moment)) == view
        self.run(self.stack.aclose())
        self.loop.close()
        self.folder.cleanup()


def partition_before(events: tuple[Event, ...]) -> dict[str, str]:
    """The partition before the last event, from the moves alone."""
    held: dict[str, str] = {}
    for event in events[:-1]:
        for move in event.moves:
            if move.target is None:
                held.pop(move.key.source_id)
            else:
                held[move.key.source_id] = move.target
    return held


TestLifeCycle = LifeCycle.TestCase
# One life costs as much as eight other examples; `--hypothesis-profile=long` plays a thousand.
TestLifeCycle.settings = settings(max_examples=settings().max_examples // 8, stateful_step_count=20)


def test_a_life_in_mongodb_is_no_other(mongod: Mongod) -> None:
    """The same life; a few of them, because each step is a round trip or more."""

    class OnServer(LifeCycle):
        def opened(self) -> AbstractAsyncContextManager[Index]:
            return on_server(mongod)

        def violations(self) -> Sequence[Violation]:
            store = self.index.store
            assert isinstance(store, MongoStore)
            return self.run(store.verify())

    lives = max(1, TestLifeCycle.settings.max_examples // 10)
    run_state_machine_as_test(
        OnServer, settings=settings(TestLifeCycle.settings, max_examples=lives)
    )


@asynccontextmanager
async def on_server(mongod: Mongod) -> AsyncIterator[Index]:
    """An index in a database of its own."""
    store = MongoStore(Address(mongod.uri, f"life-{uuid.uuid4()}"))
    await store.open(FINGERPRINT)
    try:
        async with indexing(Path(), elsewhere=store) as index:
            yield index
    finally:
        await store.close()
