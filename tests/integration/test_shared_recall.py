"""Several instances of one index that share the remote tiers, each as a process of its own would."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from bench.daemons import Mongod, Valkey
from mpi.domain.identity import PersonState, StoredRecord
from mpi.errors import StoreUnavailable
from mpi.matching.blocking import BlockingKeys
from mpi.ports import KeptAnswer, Provider, Resolution, SharedAnswers, Turn
from tests.support.cache import Counted, Gate, memory, mongo_cache, redis_cache, tiers
from tests.support.index import MARGA, OTTO, Index, indexing

MARGA_IN_CAPITALS = {**MARGA, "last_name": "VANDERSLOOT", "city": " dover "}


class Remote(Gate):
    """A provider as far away as a vendor's: every call takes its time."""

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        found = await super().resolve(record, keys, home)
        await asyncio.sleep(0.1)
        return found


@dataclass
class Instances:
    """Instances over one file, none of which keeps anything in its own memory."""

    folder: Path
    valkey: Valkey
    mongod: Mongod | None
    prefix: bytes
    stack: AsyncExitStack

    async def add(self) -> tuple[Index, Gate, Counted]:
        """One more."""
        caches = [redis_cache(self.valkey, self.prefix, lease=1.0)]
        remote = [mongo_cache(self.mongod, self.prefix)] if self.mongod else []
        gates: list[Gate] = []

        def put(provider: Provider) -> Provider:
            gates.append(Remote(provider, with_answer=True))
            return gates[0]

        counted = Counted()
        shared = await self.stack.enter_async_context(
            tiers(*caches, *remote, told=counted, deadline=5)
        )
        index = await self.stack.enter_async_context(
            indexing(self.folder, shared=shared, around=put, lookback=50, patience=20)
        )
        return index, gates[0], counted


@pytest.fixture
async def instances(tmp_path: Path, valkey: Valkey, mongod: Mongod) -> AsyncIterator[Instances]:
    async with AsyncExitStack() as stack:
        yield Instances(tmp_path, valkey, mongod, f"test:{uuid4().hex}:".encode(), stack)


async def test_what_one_instance_was_answered_the_others_know(instances: Instances) -> None:
    here, _, _ = await instances.add()
    there, gate, _ = await instances.add()
    await here.add(MARGA, "1")
    first, again = await here.ask(MARGA), await there.ask(MARGA)
    assert (first.served_from, again.served_from) == ("provider", "redis")
    assert replace(again, served_from="", processing_time_ms=0) == replace(
        first, served_from="", processing_time_ms=0
    )
    assert gate.calls == 0


async def test_a_question_written_differently_is_the_same_question(instances: Instances) -> None:
    here, _, _ = await instances.add()
    await here.ask(MARGA)
    assert (await here.ask(MARGA_IN_CAPITALS)).served_from == "redis"
    for other in ({**MARGA, "zip": "19902"}, {**MARGA, "first_name": "Margaret"}, OTTO):
        assert (await here.ask(other)).served_from == "provider"


async def test_warnings_belong_to_the_question(instances: Instances) -> None:
    here, _, _ = await instances.add()
    plain = await here.ask({**MARGA, "ssn": ""})
    placeholder = await here.ask({**MARGA, "ssn": "999-99-9999"})
    assert (plain.warnings, placeholder.served_from) == ((), "provider")
    assert placeholder.warnings


@pytest.mark.parametrize("who", [0, 1])
async def test_a_registration_anywhere_ends_the_answer_everywhere(
    instances: Instances, who: int
) -> None:
    two = [(await instances.add())[0] for _ in range(2)]
    for index in two:
        assert (await index.ask(MARGA)).status == "no_match"
        await index.ask(OTTO)
    made = await two[who].add(MARGA, "1")
    for index in two:
        assert (await index.ask(MARGA)).mpi_id == made.mpi_id
        assert (await index.ask(OTTO)).served_from == "redis"


async def test_an_answer_that_a_slow_instance_keeps_late_is_never_given(
    instances: Instances,
) -> None:
    slow, gate, _ = await instances.add()
    fast, _, counted = await instances.add()
    gate.close()
    early = asyncio.create_task(slow.ask(MARGA))
    await gate.reached()
    made = await fast.add(MARGA, "1")
    gate.open()
    assert (await early).status == "no_match"
    # By now what the slow one was told is in Redis and in MongoDB.
    assert (await fast.ask(MARGA)).mpi_id == made.mpi_id
    assert counted.told["miss redis"] >= 1
    assert counted.told["miss mongodb"] >= 1


class _Slow:
    """Tiers that take their time after they have found an answer that holds."""

    def __init__(self, shared: SharedAnswers) -> None:
        self._shared = shared
        self.found = asyncio.Event()
        self.go_on = asyncio.Event()

    async def find(
        self, key: bytes, holds: Callable[[KeptAnswer], bool]
    ) -> tuple[str, KeptAnswer] | None:
        answer = await self._shared.find(key, holds)
        self.found.set()
        await self.go_on.wait()
        return answer

    async def keep(self, key: bytes, answer: KeptAnswer) -> None:
        await self._shared.keep(key, answer)

    async def take_turn(self, key: bytes) -> Turn | None:
        return await self._shared.take_turn(key)


async def test_an_answer_that_ended_while_it_was_fetched_is_not_given_again(
    instances: Instances,
) -> None:
    there, _, _ = await instances.add()
    await there.ask(MARGA)
    async with tiers(redis_cache(instances.valkey, instances.prefix), deadline=5) as row:
        slow = _Slow(row)
        async with indexing(instances.folder, cache=memory(), shared=slow, lookback=50) as here:
            early = asyncio.create_task(here.ask(MARGA))
            await slow.found.wait()
            made = await there.add(MARGA, "1")
            other = asyncio.create_task(here.ask(OTTO))  # this is how the change gets noticed
            await asyncio.sleep(0.05)
            slow.go_on.set()
            assert (await early).status == "no_match"
            await other
            assert (await here.ask(MARGA)).mpi_id == made.mpi_id


async def test_a_new_instance_uses_what_was_kept_before_it_started(instances: Instances) -> None:
    here, _, _ = await instances.add()
    await here.ask(MARGA)
    await here.add(OTTO, "1")
    for number in range(40):
        await here.add({"last_name": "Solitary", "mrn": f"{number:07}"}, f"m{number}")
    there, _, _ = await instances.add()
    assert (await there.ask(MARGA)).served_from == "redis"
    for number in range(40, 60):
        await here.add({"last_name": "Solitary", "mrn": f"{number:07}"}, f"m{number}")
    later, _, _ = await instances.add()
    assert (await later.ask(MARGA)).served_from == "provider", "its event is no longer known"


async def test_answers_from_before_an_index_was_restored_are_never_given(
    tmp_path: Path, valkey: Valkey
) -> None:
    """The restored index has events of the same numbers, but not the same events."""
    prefix = f"test:{uuid4().hex}:".encode()

    @asynccontextmanager
    async def one(folder: Path) -> AsyncIterator[Index]:
        async with AsyncExitStack() as stack:
            yield (await Instances(folder, valkey, None, prefix, stack).add())[0]

    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    async with one(before) as index:
        await index.add(OTTO, "1")
        await index.ask(OTTO)
    shutil.copytree(before, after)  # the backup
    async with one(before) as index:
        await index.add(MARGA, "2")
        assert (await index.ask(MARGA)).status == "matched"
    async with one(after) as index:
        index.clock.now = index.clock.now.replace(year=2027)
        await index.add({"last_name": "Solitary", "mrn": "1234567"}, "2")
        assert (await index.ask(MARGA)).status == "no_match"
        assert (await index.ask(OTTO)).served_from == "redis", "of a time that both have lived"


async def test_of_many_equal_questions_everywhere_one_reaches_the_provider(
    instances: Instances,
) -> None:
    pairs = [(await instances.add())[:2] for _ in range(2)]
    answers = await asyncio.gather(*(index.ask(MARGA) for index, _ in pairs * 1000))
    assert {answer.status for answer in answers} == {"no_match"}
    assert sum(gate.calls for _, gate in pairs) == 1


async def test_without_redis_each_instance_asks_once(
    tmp_path: Path, mongod: Mongod, fallen: Valkey
) -> None:
    async with AsyncExitStack() as stack:
        alone = Instances(tmp_path, fallen, None, b"test:", stack)
        pairs = [(await alone.add())[:2] for _ in range(2)]
        answers = await asyncio.gather(*(index.ask(MARGA) for index, _ in pairs * 100))
        assert {answer.status for answer in answers} == {"no_match"}
        assert [gate.calls for _, gate in pairs] == [1, 1]


@pytest.fixture
def fallen(tmp_path: Path) -> Valkey:
    """A Valkey that is down."""
    return Valkey(tmp_path / "fallen")


async def test_when_the_one_who_asks_goes_away_another_asks(instances: Instances) -> None:
    here, gate, _ = await instances.add()
    there, other, _ = await instances.add()
    gate.close()
    first = asyncio.create_task(here.ask(MARGA))
    await gate.reached()
    second = asyncio.create_task(there.ask(MARGA))
    await asyncio.sleep(0.05)
    assert other.calls == 0
    first.cancel()
    assert (await second).status == "no_match"
    assert (gate.calls, other.calls) == (1, 1)


async def test_an_error_is_nobody_elses(instances: Instances) -> None:
    here, gate, _ = await instances.add()
    there, other, _ = await instances.add()
    gate.error = StoreUnavailable("away")
    failing, asking = await asyncio.gather(
        here.ask(MARGA), there.ask(MARGA), return_exceptions=True
    )
    if isinstance(failing, StoreUnavailable):
        assert (gate.calls, other.calls) == (1, 1)
    assert not isinstance(asking, BaseException)


async def test_what_a_question_waits_for_may_change_meanwhile(instances: Instances) -> None:
    here, gate, _ = await instances.add()
    there, other, _ = await instances.add()
    gate.close()
    first = asyncio.create_task(here.ask(MARGA))
    await gate.reached()
    second = asyncio.create_task(there.ask(MARGA))
    await asyncio.sleep(0.05)
    made = await there.add(MARGA, "1")
    other.calls = 0
    gate.open()
    assert (await first).status == "no_match"
    assert (await second).mpi_id == made.mpi_id
    assert other.calls == 1
