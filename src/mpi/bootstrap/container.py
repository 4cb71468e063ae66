"""The composition root: settings become adapters, adapters become the service.

Drivers of what the settings do not name are not imported: they are half of the time that a start takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from mpi.bootstrap.cache import recall_of
from mpi.bootstrap.key import hmac_key
from mpi.bootstrap.preparation import placeholders_of
from mpi.cache.tiered import TieredCache
from mpi.errors import ConfigurationError, InvalidInput
from mpi.matching.model import default_document, load_default_model
from mpi.ports import Monitored, Provider, Store
from mpi.providers.internal import InternalProvider
from mpi.service.access import Access
from mpi.service.health import Check
from mpi.service.index import MasterPatientIndex
from mpi.service.model_follower import ModelFollower
from mpi.service.models import Models
from mpi.service.recall import Recall
from mpi.service.shadow import Shadow
from mpi.service.stewardship import Stewardship
from mpi.settings import Settings
from mpi.stores.fingerprint import fingerprint
from mpi.stores.sqlite.store import open_store
from mpi.telemetry import Metrics

if TYPE_CHECKING:
    from mpi.bootstrap.hybrid import Elsewhere
    from mpi.bootstrap.verato import Verato
    from mpi.service.outbox import Courier

Step = Callable[[], Awaitable[None]]

_SIDE_BY_SIDE = {"sqlite": 16, "mongodb": 32}
"""Enrollments under way at a time: what is committed together costs little more than one of them."""


@dataclass(frozen=True, slots=True)
class Container:
    """A wired service. Belongs to the event loop that first uses it; close it there."""

    settings: Settings
    index: MasterPatientIndex
    recall: Recall | None
    tiers: TieredCache | None
    """The tiers that other processes share, if any."""
    stewardship: Stewardship
    access: Access
    metrics: Metrics
    store: Store
    models: Models
    follower: ModelFollower
    shadow: Shadow
    checks: tuple[Check, ...]
    verato: Verato | None
    courier: Courier | None
    """Who tells Verato of what was decided here; None where there is nobody to tell."""
    opening: Step
    warming: Step
    closing: Step

    async def facts(self) -> dict[str, Any]:
        """What serves here, for the health page. Raises ``StoreUnavailable``."""
        return {
            "provider": self.settings.provider,
            "store": self.settings.store,
            "model_version": self.follower.deciding().version,
            "demo": await self.store.is_demo(),
            "position": await self.store.position(),
        }

    async def open(self, *, deciding: bool = True) -> None:
        """Connect to what runs elsewhere, and follow the models unless nothing is to be decided.

        Raises ``ConfigurationError`` as :func:`build` does, or when the activated model cannot be read.
        """
        await self.opening()
        if deciding:
            try:
                await self.follower.open()
            except InvalidInput as error:
                raise ConfigurationError(
                    f"the activated model cannot decide here ({error.detail}); take it back with `mpi model rollback`"
                ) from None

    async def warm_up(self) -> None:
        """Make the first queries as quick as those that follow: for who serves many. A matter of seconds at most."""
        await self.warming()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Inside the block, what has to be said elsewhere is said in the background, and shared tiers are watched."""
        works = []
        if self.courier is not None:
            works.append(asyncio.create_task(self.courier.run()))
        if self.tiers is not None:
            works.append(asyncio.create_task(self.tiers.watch()))
        try:
            yield
        finally:
            for work in works:
                work.cancel()
            if works:
                await asyncio.wait(works)

    async def close(self) -> None:
        """Let go of everything that runs elsewhere and of the store; all that is acknowledged is durable already."""
        await self.follower.close()
        await self.shadow.close()
        if self.verato is not None:
            await self.verato.provider.close()
        if self.tiers is not None:
            await self.tiers.close()
        await self.closing()


def build(settings: Settings, *, create: bool = True) -> Container:
    """Wire the service that the settings describe; it is to be opened before use.

    ``create`` makes an index where there is none.

    Raises:
        ConfigurationError: one sentence about what is wrong and how to mend it.
    """
    placeholders = placeholders_of(settings)
    key = hmac_key(settings, create=create)
    store, opening, warming, closing = _store(settings, fingerprint(key), create=create)
    metrics = Metrics()
    follower = ModelFollower(store, load_default_model())
    shadow = Shadow(
        follower.shadow, metrics.shadowed, partial(metrics.count, "mpi_shadow_skipped_total")
    )
    internal = InternalProvider(
        store,
        follower.deciding,
        narrowed=metrics.looked_up,
        judged=shadow.observe,
    )
    remote = _elsewhere(settings, store, internal, metrics)
    provider = internal if remote is None else remote.provider
    verato = None if remote is None else remote.verato
    late = None if remote is None else remote.late
    untold = None if verato is None else verato.counterpart.untold
    tiers = _tiers(settings, provider, key, metrics)
    recall = recall_of(settings, store, provider, tiers, key, metrics)
    index = MasterPatientIndex(
        store=store,
        provider=provider,
        model=follower.deciding,
        recall=recall,
        hmac_key=key,
        clock=_now,
        placeholders=placeholders,
        enroll=settings.enroll,
        batch_size=settings.batch_size,
        side_by_side=_SIDE_BY_SIDE[settings.store],
        conflict=partial(metrics.count, "mpi_conflicts_total"),
        outbox=None if remote is None else store,
        asked_later=late is not None,
    )
    return Container(
        settings=settings,
        index=index,
        recall=recall,
        tiers=tiers,
        stewardship=Stewardship(
            store=store, model=follower.deciding, clock=_now, untold=untold, late=late
        ),
        access=Access(store, key, monotonic),
        metrics=metrics,
        store=store,
        models=Models(store, default_document()),
        follower=follower,
        shadow=shadow,
        verato=verato,
        courier=None if remote is None else remote.courier,
        opening=opening,
        warming=warming,
        closing=closing,
        checks=_checks(store, follower, shadow, key, tiers, verato),
    )


def _elsewhere(
    settings: Settings, store: Store, internal: InternalProvider, metrics: Metrics
) -> Elsewhere | None:
    """The provider that asks somebody else too, unless our own matching is all that is wanted."""
    if settings.provider == "internal":
        return None
    from mpi.bootstrap.hybrid import elsewhere

    return elsewhere(settings, store, internal, metrics, _now)


def _tiers(
    settings: Settings, provider: Provider, key: bytes, metrics: Metrics
) -> TieredCache | None:
    """The tiers of the cache that other processes share, if there are any."""
    if not settings.remote_tiers:
        return None
    from mpi.bootstrap.tiers import tiers_of

    return tiers_of(settings, provider, key, metrics)


def _checks(
    store: Monitored,
    follower: ModelFollower,
    shadow: Shadow,
    key: bytes,
    tiers: TieredCache | None,
    verato: Verato | None,
) -> tuple[Check, ...]:
    """What ``/health/ready`` looks at. Caches and remote providers are never critical: without them it is slower."""
    remote = dict(tiers.checks) if tiers is not None else {}
    if verato is not None:
        remote |= {"verato": verato.provider.check, "certificate": verato.check_certificate}
    return (
        Check("store", is_critical=True, probe=store.check_reachable),
        Check("schema", is_critical=True, probe=store.check_schema),
        Check("key", is_critical=True, probe=partial(store.check_key, fingerprint(key))),
        Check("model", is_critical=True, probe=follower.check),
        Check("shadow", is_critical=False, probe=shadow.check),
        *(Check(name, is_critical=False, probe=probe) for name, probe in remote.items()),
    )


def _store(
    settings: Settings, hmac_fingerprint: bytes, *, create: bool
) -> tuple[Store, Step, Step, Step]:
    """The store that ``MPI_STORE`` names, what opens it, what warms it up, and what closes it."""

    async def nothing() -> None:
        """A file is open at once, and a server has its own memory."""

    if settings.store == "mongodb":
        from mpi.bootstrap.mongodb import mongo_store

        remote = mongo_store(settings)
        opening = partial(remote.open, hmac_fingerprint, create=create)
        return remote, opening, nothing, remote.close
    local = open_store(settings.sqlite_path, hmac_fingerprint, create=create)

    async def closing() -> None:
        local.close()

    return local, nothing, local.warm_up, closing


def _now() -> datetime:
    return datetime.now(UTC)
