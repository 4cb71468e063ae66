"""Cached answers equal uncached ones, whatever is committed in between and by whom."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from mpi.errors import MpiError
from mpi.service.answers import MatchAnswer
from tests.support.cache import Gate, memory
from tests.support.index import MARGA, MARGA_IN_DOUBT, OTTO, Index, indexing, key, submission

PEOPLE = (
    MARGA,
    MARGA_IN_DOUBT,
    OTTO,
    {**MARGA, "first_name": "Margarethe"},
    {**MARGA, "dob": "1961-03-18", "ssn": "", "phone": OTTO["phone"]},
    {**OTTO, "last_name": MARGA["last_name"], "address": MARGA["address"]},
    {"last_name": MARGA["last_name"], "zip": MARGA["zip"], "dob": MARGA["dob"]},
)
people = st.sampled_from(PEOPLE)
records = st.sampled_from("12345")
instances = st.sampled_from((0, 1))


def content(answer: MatchAnswer) -> MatchAnswer:
    return replace(answer, served_from="", processing_time_ms=0.0)


class Interleaved(RuleBasedStateMachine):
    """Two cached instances of one index and an uncached one that says what is true."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._folder = TemporaryDirectory()
        self._gates: list[Gate] = []
        self._early: list[asyncio.Task[MatchAnswer]] = []
        folder = Path(self._folder.name)
        self._run(self._open(folder))

    async def _open(self, folder: Path) -> None:
        def put(provider: Any) -> Gate:
            self._gates.append(Gate(provider, with_answer=True))
            return self._gates[-1]

        cached = [indexing(folder, cache=memory(entries=6), around=put) for _ in range(2)]
        self._cached = [await self._stack.enter_async_context(one) for one in cached]
        self._true = await self._stack.enter_async_context(indexing(folder))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def teardown(self) -> None:
        self._run(self._let_through())
        self._run(self._stack.aclose())
        self._loop.close()
        self._folder.cleanup()

    def _index(self, instance: int) -> Index:
        return self._cached[instance]

    async def _changed(self, work: Coroutine[Any, Any, Any]) -> None:
        """A change; whether the index accepts it does not matter here."""
        for gate in self._gates:
            gate.open()
        try:
            await work
        except MpiError:
            pass
        finally:
            await asyncio.sleep(0)

    async def _let_through(self) -> None:
        for gate in self._gates:
            gate.open()
        await asyncio.gather(*self._early)
        self._early.clear()

    async def _compare(self, instance: int, fields: dict[str, str]) -> None:
        await self._let_through()
        found = await self._index(instance).ask(fields)
        assert content(found) == content(await self._true.ask(fields))

    @rule(instance=instances, fields=people)
    def ask(self, instance: int, fields: dict[str, str]) -> None:
        self._run(self._compare(instance, fields))

    @rule(instance=instances, fields=people)
    def ask_slowly(self, instance: int, fields: dict[str, str]) -> None:
        """The answer is computed now and arrives some steps later."""

        async def begin() -> None:
            self._gates[instance].close()
            self._early.append(asyncio.create_task(self._index(instance).ask(fields)))
            for _ in range(3):
                await asyncio.sleep(0)

        self._run(begin())

    @rule(fields=people, source_id=records)
    def register_elsewhere(self, fields: dict[str, str], source_id: str) -> None:
        self._run(self._true.add(fields, source_id))

    @rule(instance=instances, fields=people, source_id=records)
    def register(self, instance: int, fields: dict[str, str], source_id: str) -> None:
        self._run(self._changed(self._index(instance).add(fields, source_id)))

    @rule(instance=instances, source_id=records)
    def delete(self, instance: int, source_id: str) -> None:
        work = self._index(instance).mpi.delete_record(key(source_id), actor="ada")
        self._run(self._changed(work))

    @rule(left=records, right=records, kind=st.sampled_from(("same", "not-same")))
    def assert_pair(self, left: str, right: str, kind: Any) -> None:
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
        async def undo() -> None:
            events = await self._true.mpi.events(0, 1000)
            for event in events[-1:]:
                await self._true.stewards.undo(event.event_id, reason="wrong", actor="ada")

        self._run(self._changed(undo()))

    @rule(instance=instances, fields=people, other=people, source_id=records)
    def batch(
        self, instance: int, fields: dict[str, str], other: dict[str, str], source_id: str
    ) -> None:
        rows = (submission(other), submission(fields, source_id), submission(other))
        self._run(self._changed(self._index(instance).batch(*rows)))


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
