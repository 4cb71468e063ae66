"""Cached answers equal uncached ones, whatever is committed in between and by whom."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mpi.errors import MpiError
from mpi.ports import Provider
from mpi.service.answers import MatchAnswer
from tests.support.cache import Gate, memory
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
    """Two cached instances of one index and an uncached one that says what is true.

    After every step everybody is asked for everywhere, so the caches are always full of answers.
    """

    def __init__(self) -> None:
        super().__init__()
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

        self._caches = [memory(), memory()]
        cached = [indexing(folder, cache=cache, around=put) for cache in self._caches]
        self._cached = [await self._stack.enter_async_context(one) for one in cached]
        self._true = await self._stack.enter_async_context(indexing(folder))

    def _run(self, work: Coroutine[Any, Any, object]) -> None:
        self._loop.run_until_complete(work)

    def teardown(self) -> None:
        self._run(self._arrive())
        self._run(self._stack.aclose())
        self._loop.close()
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
        self._caches[instance]._answers.clear()
        gate.close()
        asking = asyncio.create_task(self._cached[instance].ask(fields))
        await asyncio.sleep(0)
        self._early.append((gate.open_for_others(), asking))
        position = await self._true.store.position()
        await self._true.add(change, source_id)
        if await self._true.store.position() == position:
            await self._arrive()  # nothing has changed: whoever asks next would wait for it

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


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
