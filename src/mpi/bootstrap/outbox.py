"""From settings to the courier that tells Verato of what was decided here, and follows what changes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from mpi.domain.errand import ErrandKind, Waiting
from mpi.ports import Provider, Store
from mpi.ports.elsewhere import Counterpart
from mpi.providers.hybrid.provider import HybridProvider
from mpi.service.alignment import Alignment
from mpi.service.following import Following
from mpi.service.outbox import Courier, Handler
from mpi.service.reconciliation import Reconciliation
from mpi.service.retrying import Retrying
from mpi.settings import Settings
from mpi.telemetry import Metrics


def courier(
    settings: Settings,
    store: Store,
    counterpart: Counterpart,
    provider: Provider,
    metrics: Metrics,
    clock: Callable[[], datetime],
) -> Courier:
    """Who runs the errands of every kind."""
    alignment = Alignment(store, store, counterpart, clock)
    follow = Following(
        store,
        store,
        counterpart,
        clock,
        interval=timedelta(seconds=settings.verato_notify_interval),
        overlap=timedelta(seconds=settings.verato_notify_overlap),
    )

    handlers: dict[ErrandKind, Handler] = {
        ErrandKind.POST: follow.post,
        ErrandKind.ALIGN: alignment.align,
        ErrandKind.RETIRE: alignment.retire,
        ErrandKind.FOLLOW: follow.follow,
        ErrandKind.LISTEN: follow.listen,
    }
    if isinstance(provider, HybridProvider):
        retrying = Retrying(partial(metrics.count, "mpi_conflicts_total"))
        late = Reconciliation(store, store, provider, clock, retrying)
        handlers |= {ErrandKind.POST: late.post, ErrandKind.FOLLOW: late.follow}

    def counted(waiting: Sequence[Waiting], now: datetime) -> None:
        ages = {w.kind: (w.count, _age(w, now, follow.interval)) for w in waiting}
        for kind in ErrandKind:
            metrics.outbox_waiting(kind.value, *ages.get(kind, (0, 0.0)))

    return Courier(
        store,
        handlers,
        clock,
        lease=timedelta(seconds=settings.outbox_lease),
        at_once=settings.verato_concurrency,
        begin=follow.begin,
        ran=metrics.outbox_ran,
        counted=counted,
    )


def _age(waiting: Waiting, now: datetime, interval: timedelta) -> float:
    """Seconds for which the oldest waits. Listening goes on for ever: it is only as old as it is late."""
    if waiting.kind is not ErrandKind.LISTEN or waiting.mark is None:
        return (now - waiting.oldest).total_seconds()
    heard_until = datetime.fromisoformat(waiting.mark)
    return max(0.0, (now - heard_until - interval).total_seconds())
