"""From settings to the provider over our own matching and Verato."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mpi.bootstrap_verato import Verato
from mpi.ports import Store
from mpi.providers.hybrid import HybridProvider
from mpi.providers.hybrid_links import Links
from mpi.providers.hybrid_strategy import STRATEGIES
from mpi.providers.internal import InternalProvider
from mpi.providers.verato_budget import Budget
from mpi.service.preparation import ANONYMOUS
from mpi.settings import Settings
from mpi.telemetry import Metrics


def budget_of(
    settings: Settings, store: Store, metrics: Metrics, clock: Callable[[], datetime]
) -> Budget | None:
    """The calls that a month may cost; None without a limit."""
    most = settings.hybrid_monthly_calls
    if settings.provider != "hybrid" or most is None:
        return None
    return Budget(store, most, clock, left=metrics.provider_calls_left)


def hybrid_provider(
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
