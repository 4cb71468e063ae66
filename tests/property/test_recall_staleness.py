"""Cached answers equal uncached ones, whatever is committed in between, by whom, and whatever becomes of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from bench.daemons import Valkey
from mpi.errors import MpiError
from mpi.ports import Provider
from mpi.service.answers import MatchAnswer
from tests.support.cache import Gate, memory, redis_cache, tiers
from tests.support.index import MARGA, MARGA_IN_DOUBT, OTTO, indexing, key, submission

PEOPLE = (
    MARGA,
    MARGA_IN_DOUBT,
    OTTO,
    {**MARGA, "first_name": "Margarethe"},
    {**MARGA, "dob": "1961-03-18", "ssn": "", "phone": OTTO["phone"]},
    {**OTTO, "last_name": MARGA["last_name"], "address": MARGA["address"]},
    {"last_name": MARGA["last_name"], "zip": MARGA["zip"], "dob": MARGA["dob"]},
)
Fields = dict[str, str]
people = st.sampled_from(PEOPLE)
records = st.sampled_from("12345")
instances = st.sampled_from((0, 1))


def content(answer: MatchAnswer) -> MatchAnswer:
    return replace(answer, served_from="", processing_time_ms=0.0)


class Interleaved(RuleBasedStateMachine):
    """Two cached instances of one index, sharing a Redis, and an uncached one that says what is true.

    After every step everybody is asked for everywhere, so the caches are always full of answers. Only the first
    instance keeps any in its own memory.
    """

    server: ClassVar[Valkey]

    def __init__(self) -> None:
        super().__init__()
        self._valkey = Redis(port=self.server.port)
        self._valkey.flushall()
        self._snapshot: dict[Any, Any] = {}
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._folder = TemporaryDirectory()
        self._gates: list[Gate] = []
        self._early: list[tuple[asyncio.Event, asyncio.Task[MatchAnswer]]] = []
        self._run(self._open(Path(self._folder.name)))

    async def _open(self, folder: Path) -> None:
        def put(provider: Provider) -> Provider:
            self._gates.append(Gate(provider, with_answer=True))
            return self._gates[-1]

        self._near = memory()
        self._cached = []
        for near in (self._near, None):
            shared = tiers(redis_cache(self.server, b"test:"))
            cached = indexing(
                folder,
                cache=near,
                shared=await self._stack.enter_async_context(shared),
                around=put,
                lookback=5,
                patience=0,
            )
            self._cached.append(await self._stack.enter_async_context(cached))
        self._true = await self._stack.enter_async_context(indexing(folder))

    def _run(self, work: Coroutine[Any, Any, object]) -> None:
        self._loop.run_until_complete(work)

    def teardown(self) -> None:
        self._run(self._arrive())
        self._run(self._stack.aclose())
        self._loop.close()
        self._valkey.close()
        self._folder.cleanup()

    async def _changed(self, work: Coroutine[Any, Any, object]) -> None:
        """A change; whether the index accepts it does not matter here."""
        with suppress(MpiError):
            await work

    async def _arrive(self) -> None:
        for gate, asking in self._early:
            gate.set()
            await asking
        self._early.clear()

    @invariant()
    def every_answer_is_true(self) -> None:
        self._run(self._compare())

    async def _compare(self) -> None:
        for fields in PEOPLE:
            true = content(await self._true.ask(fields))
            for index in self._cached:
                assert content(await index.ask(fields)) == true

    @rule(instance=instances, fields=people, change=people, source_id=records)
    def ask_slowly(self, instance: int, fields: Fields, change: Fields, source_id: str) -> None:
        """An answer is computed, something changes, and other steps may follow before it arrives."""
        self._run(self._ask_slowly(instance, fields, change, source_id))

    async def _ask_slowly(
        self, instance: int, fields: Fields, change: Fields, source_id: str
    ) -> None:
        gate = self._gates[instance]
        # Nothing is known of it, so that it has to be asked for.
        self._near._answers.clear()
        self._valkey.flushall()
        gate.close()
        calls = gate.calls
        asking = asyncio.create_task(self._cached[instance].ask(fields))
        await gate.called(calls + 1)
        self._early.append((gate.open_for_others(), asking))
        position = await self._true.store.position()
        await self._true.add(change, source_id)
        if await self._true.store.position() == position:
            await self._arrive()  # nothing has changed: whoever asks next would wait for it

    @rule()
    def keep_a_copy(self) -> None:
        self._snapshot = {name: self._valkey.get(name) for name in self._valkey.keys("test:*")}

    @rule()
    def bring_the_copy_back(self) -> None:
        """As a restored Redis does, and a write that was delayed for long."""
        for name, value in self._snapshot.items():
            self._valkey.set(name, value)

    @rule()
    def lose_everything(self) -> None:
        self._valkey.flushall()

    @rule()
    def arrive(self) -> None:
        self._run(self._arrive())

    @rule(fields=people, source_id=records)
    def register_elsewhere(self, fields: Fields, source_id: str) -> None:
        self._run(self._true.add(fields, source_id))

    @rule(instance=instances, fields=people, source_id=records)
    def register(self, instance: int, fields: Fields, source_id: str) -> None:
        self._run(self._cached[instance].add(fields, source_id))

    @rule(instance=instances, source_id=records)
    def delete(self, instance: int, source_id: str) -> None:
        work = self._cached[instance].mpi.delete_record(key(source_id), actor="ada")
        self._run(self._changed(work))

    @rule(left=records, right=records, kind=st.sampled_from(("same", "not-same")))
    def assert_pair(self, left: str, right: str, kind: Literal["same", "not-same"]) -> None:
        work = self._true.stewards.assert_pair(
            kind, key(left), key(right), reason="seen", actor="ada", override=True
        )
        self._run(self._changed(work))

    @rule(source_id=records)
    def move_out(self, source_id: str) -> None:
        work = self._true.stewards.move(key(source_id), "new", reason="seen", actor="ada")
        self._run(self._changed(work))

    @rule()
    def undo_the_last(self) -> None:
        self._run(self._changed(self._undo()))

    async def _undo(self) -> None:
        for event in (await self._true.mpi.events(0, 1000))[-1:]:
            await self._true.stewards.undo(event.event_id, reason="wrong", actor="ada")

    @rule(instance=instances, fields=people, other=people, source_id=records)
    def batch(self, instance: int, fields: Fields, other: Fields, source_id: str) -> None:
        rows = (submission(other), submission(fields, source_id), submission(other))
        self._run(self._cached[instance].batch(*rows))


def test_every_answer_is_true_whatever_happens_in_between(valkey: Valkey) -> None:
    class Sharing(Interleaved):
        server = valkey

    run_state_machine_as_test(
        Sharing, settings=settings(max_examples=8, stateful_step_count=20, deadline=None)
    )
