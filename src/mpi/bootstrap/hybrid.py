"""From settings to a provider that asks Verato: Verato alone, or together with our own matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mpi.bootstrap.outbox import courier
from mpi.bootstrap.verato import Verato, open_verato
from mpi.ports import Provider, Store
from mpi.providers.hybrid.links import Links
from mpi.providers.hybrid.provider import HybridProvider
from mpi.providers.hybrid.strategy import STRATEGIES
from mpi.providers.internal import InternalProvider
from mpi.providers.verato.budget import Budget
from mpi.service.outbox import Courier
from mpi.service.preparation import ANONYMOUS
from mpi.settings import Settings
from mpi.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A provider that asks Verato, and who tells Verato of what is decided here."""

    provider: Provider
    late: HybridProvider | None
    """The provider as one that may still be waiting for a word on what it has answered."""
    verato: Verato
    courier: Courier


def elsewhere(
    settings: Settings,
    store: Store,
    internal: InternalProvider,
    metrics: Metrics,
    clock: Callable[[], datetime],
) -> Elsewhere:
    """What ``MPI_PROVIDER=verato`` and ``hybrid`` stand for. Raises ``ConfigurationError`` as ``open_verato`` does."""
    verato = open_verato(settings, store, metrics, _budget(settings, store, metrics, clock))
    late = None
    if settings.provider == "hybrid":
        late = _hybrid_provider(settings, store, internal, verato, metrics)
    provider = late or verato.provider
    return Elsewhere(
        provider,
        late,
        verato,
        courier(settings, store, verato.counterpart, provider, metrics, clock),
    )


def _budget(
    settings: Settings, store: Store, metrics: Metrics, clock: Callable[[], datetime]
) -> Budget | None:
    """The calls that a month may cost; None without a limit."""
    most = settings.hybrid_monthly_calls
    if settings.provider != "hybrid" or most is None:
        return None
    return Budget(store, most, clock, left=metrics.provider_calls_left)


def _hybrid_provider(
    settings: Settings,
    store: Store,
    internal: InternalProvider,
    verato: Verato,
    metrics: Metrics,
) -> HybridProvider:
    """The provider that ``MPI_HYBRID_*`` describe."""
    return HybridProvider(
        internal,
        verato.index,
        store,
        STRATEGIES[settings.hybrid_strategy],
        Links(verato.index, store, ANONYMOUS),
        version=f"{settings.hybrid_strategy}|{verato.provider.version}",
        deadline=settings.hybrid_deadline,
        feeds=settings.hybrid_feed == "all",
        answered=metrics.hybrid_answered,
        compared=metrics.hybrid_compared,
    )
