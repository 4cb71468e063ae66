"""Which model decides in this process: the one that the store names, whoever activated it and wherever."""

from __future__ import annotations

import asyncio

import structlog

from mpi.errors import InvalidInput, SchemaMismatch, StoreUnavailable
from mpi.matching.model import Model
from mpi.ports import ModelRole, ModelStore
from mpi.service.cancellation import rest
from mpi.service.models import latest, read_model

PAUSE = 0.5
"""Seconds between looks at the store: a change is everywhere within a second."""

log = structlog.get_logger("mpi.model")


class ModelFollower:
    """Keeps up with the activations of a store; until there is one, the ``shipped`` model decides.

    The model is exchanged between two decisions, never within one.
    """

    def __init__(self, store: ModelStore, shipped: Model) -> None:
        self._store = store
        self._shipped = shipped
        self._deciding = shipped
        self._shadow: Model | None = None
        self._number = 0
        self._is_stuck = False
        self._following: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take up what is active and follow from now on. Raises as :meth:`look` does."""
        await self.look()
        self._begin()

    async def close(self) -> None:
        """Follow no longer."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.wait((following,))

    def deciding(self) -> Model:
        """The model that decides now."""
        return self._deciding

    def shadow(self) -> Model | None:
        """The model that weighs what the deciding one weighs, if there is one now."""
        return self._shadow

    async def look(self) -> None:
        """Take up what was activated last. Raises ``StoreUnavailable``, ``InvalidInput`` if it cannot be read."""
        number = await self._store.last_activation()
        if number == self._number:
            return
        named = latest(await self._store.activations())
        deciding = await self._model(named[ModelRole.DECIDE])
        self._shadow = await self._readable(named[ModelRole.SHADOW])
        self._deciding = deciding or self._shipped
        self._number = number

    async def _readable(self, version: str | None) -> Model | None:
        """A model that only repeats decisions must not stop them: one of another version of the service is left out."""
        try:
            return await self._model(version)
        except InvalidInput:
            log.warning("shadow_unreadable", model_version=version)
            return None

    async def _model(self, version: str | None) -> Model | None:
        for known in (self._deciding, self._shipped):
            if known.version == version:
                return known
        document = None if version is None else await self._store.model(version)
        return None if document is None else read_model(document)

    def _begin(self) -> None:
        self._following = asyncio.create_task(self._follow())
        self._following.add_done_callback(self._begin_again)

    def _begin_again(self, ended: asyncio.Task[None]) -> None:
        """After a model that cannot be read, or a defect of ours: it must be seen, and must not end the following."""
        if ended is not self._following or ended.cancelled():
            return
        error = ended.exception()
        if not self._is_stuck:
            log.error("model_unreadable", exc_info=error)
        self._is_stuck = True
        self._begin()

    async def _follow(self) -> None:
        """Look again and again. An unavailable store is asked later; anything else ends the task."""
        while True:
            await rest(PAUSE)
            before = self._deciding.version
            try:
                await self.look()
            except StoreUnavailable:
                continue
            self._is_stuck = False
            if self._deciding.version != before:
                log.info("model_changed", model_version=self._deciding.version)

    async def check(self) -> None:
        """Raises ``SchemaMismatch`` while this version of the service cannot take up what is activated."""
        if self._is_stuck:
            raise SchemaMismatch(
                "the activated model cannot be taken up; it is of another version of the service, or the log "
                "names a defect"
            )
