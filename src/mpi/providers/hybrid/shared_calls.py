"""One call to Verato about a registration, however many want to know what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from time import monotonic
from typing import Any

from mpi.domain.identity import Told
from mpi.domain.record import RecordKey

_REMEMBERED_S = 10.0
"""How long a link is remembered here. As a rule the store knows by then what was said; if not, the registration is told
once more, which changes nothing there."""


class _Call:
    """A call about a registration with such contents. It ends when nobody wants to know any more."""

    def __init__(self, digest: bytes, said: Coroutine[Any, Any, Told]) -> None:
        self.digest = digest
        self.task = asyncio.create_task(said)
        self._waiting = 0

    async def heard(self, within: float | None) -> Told | None:
        """What is said; None when that takes longer, or the call was given up."""
        self._waiting += 1
        try:
            await asyncio.wait([self.task], timeout=within)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.task.cancel()
        return self.task.result() if self.task.done() and not self.task.cancelled() else None


class SharedCalls:
    """Whoever asks about the same contents meanwhile, or shortly after, shares the call. Belongs to one event loop."""

    def __init__(self) -> None:
        self._calls: dict[RecordKey, _Call] = {}

    async def told(
        self,
        key: RecordKey,
        digest: bytes,
        deadline: float,
        ask: Callable[[], Coroutine[Any, Any, Told]],
    ) -> Told | None:
        """What Verato says; ``ask`` is called unless somebody else has. None: theirs takes longer than ``deadline``.

        Who asked first may have given up sooner than one has to: then one asks oneself.
        """
        while (call := self._calls.get(key)) is not None and call.digest == digest:
            told = await call.heard(deadline - monotonic())
            if (told is not None and told.answered) or monotonic() >= deadline:
                return told
        call = self._calls[key] = _Call(digest, ask())
        call.task.add_done_callback(partial(self._through, key, call))
        return await call.heard(None)

    def forget(self, key: RecordKey) -> None:
        """Whoever asks from now on asks anew: another process may have told something else."""
        self._calls.pop(key, None)

    def _through(self, key: RecordKey, call: _Call, task: asyncio.Task[Told]) -> None:
        if task.cancelled() or task.exception() or task.result().link_id is None:
            self._forget(key, call)
        else:
            task.get_loop().call_later(_REMEMBERED_S, self._forget, key, call)

    def _forget(self, key: RecordKey, call: _Call) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]
