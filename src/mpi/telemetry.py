"""What the service tells about itself: metrics and logs, neither able to carry patient data.

Metric labels are methods, route templates and statuses. Log lines keep an allow-list of keys whose
values we make ourselves; an exception is told by its type and place, never by its message.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mpi import shared_metrics
from mpi.resilience import BreakerState

log = structlog.get_logger(__name__)

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_AcrossProcesses = Literal["livemax", "livesum", "livemin", "livemostrecent"]
"""How the gauges of several workers become one."""

ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "logger",
        "request_id", "method", "route", "status", "duration_ms", "code",
        "error", "where", "problem",
        "version", "model_version",
        "workers", "pid", "attempts", "seconds",
    }
)  # fmt: skip
"""Keys a log line may have. None of them is ever given a submitted value."""


class Metrics:
    """The service's metrics; one instance per process, in a registry of its own.

    Label children are kept, because looking one up costs as much as counting.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "mpi_requests_total", "Requests answered.", "method", "status"
        )
        self._duration = self._timer(
            "mpi_request_duration_seconds",
            "Time from the first byte of a request to the last of its answer.",
            "method",
            "route",
        )
        self._counters = {name: self._counter(name, text) for name, text in _COUNTERS.items()}
        self._hits = self._counter(
            "mpi_cache_hits_total", "Queries answered from a tier of the cache.", "tier"
        )
        self._misses = self._counter(
            "mpi_cache_misses_total", "Queries that a tier of the cache could not answer.", "tier"
        )
        self._skipped = self._counter(
            "mpi_cache_skipped_total", "Calls that a tier did not answer, or not in time.", "tier"
        )
        self._open = self._gauge(
            "mpi_cache_tier_open",
            "Whether a tier is left out: 0 no, 0.5 it is being tried again, 1 yes.",
            "tier",
            mode="livemax",
        )
        self._decisions = self._counter("mpi_decisions_total", "Answers to submissions.", "status")
        self._shadowed = self._counter(
            "mpi_shadow_decisions_total",
            "Decisions that the shadow model repeated, by both outcomes.",
            "deciding",
            "shadow",
        )
        self.connections = self._gauge(
            "mpi_active_connections", "Connections that clients hold open.", mode="livesum"
        )
        self.in_progress = self._gauge(
            "mpi_requests_in_progress", "Requests being answered.", mode="livesum"
        )
        self._calls = self._counter(
            "mpi_provider_calls_total",
            "Calls to an outside provider, by how they ended.",
            "operation",
            "outcome",
        )
        self._attempts = self._counter(
            "mpi_provider_attempts_total",
            "Requests that were sent for those calls, repetitions and look-ups included.",
            "operation",
        )
        self._call_duration = self._timer(
            "mpi_provider_call_duration_seconds",
            "Time of a call to an outside provider, waiting for its turn included.",
            "operation",
        )
        self._left_alone = self._gauge(
            "mpi_provider_open",
            "Whether an outside provider is left alone: 0 no, 0.5 it is being tried again, 1 yes.",
            mode="livemax",
        )
        self._waiting = self._gauge(
            "mpi_provider_calls_waiting", "Calls that wait for their turn.", mode="livesum"
        )
        self._certificate = self._gauge(
            "mpi_provider_certificate_ends_seconds",
            "When the client certificate expires, in seconds since 1970; 0 without one.",
            mode="livemin",
        )
        self._cases = self._counter(
            "mpi_hybrid_cases_total",
            "Cases that hybrid answered, by whom: internal (Verato was not needed), verato, or fallback.",
            "by",
        )
        self._opinions = self._counter(
            "mpi_hybrid_opinions_total",
            "Persons about whom both our own matching and Verato have said whether they are the patient.",
            "internal",
            "verato",
        )
        self._calls_left = self._gauge(
            "mpi_provider_calls_left",
            "Calls that this month still has in MPI_HYBRID_MONTHLY_CALLS; -1 without that, or before the first call.",
            mode="livemostrecent",
        )
        self._calls_left.set(-1)
        self._outbox_waiting = self._gauge(
            "mpi_outbox_waiting", "Errands that wait to be run elsewhere.", "kind", mode="livemax"
        )
        self._outbox_oldest = self._gauge(
            "mpi_outbox_oldest_seconds",
            "Since when the oldest of them waits, or how far listening is behind; 0 without one.",
            "kind",
            mode="livemax",
        )
        self._outbox_ran = self._counter(
            "mpi_outbox_errands_total",
            "Errands that were run, by how that ended: done, overtaken, or why they wait on.",
            "kind",
            "outcome",
        )
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._labels: dict[tuple[Counter, str], Counter] = {}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _timer(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=_BUCKETS, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str, mode: _AcrossProcesses) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry, multiprocess_mode=mode)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer. ``route`` is a template such as ``/mpi/persons/{mpi_id}``."""
        children = self._answers.get((method, route, status))
        if children is None:
            children = (
                self._requests.labels(method, str(status)),
                self._duration.labels(method, route),
            )
            self._answers[method, route, status] = children
        counter, timer = children
        counter.inc()
        timer.observe(seconds)

    def cache_hit(self, tier: str) -> None:
        """Count one query that a tier answered."""
        self._labelled(self._hits, tier).inc()

    def cache_missed(self, tier: str) -> None:
        """Count one query that a tier could not answer."""
        self._labelled(self._misses, tier).inc()

    def provider_called(self, operation: str, outcome: str, seconds: float, attempts: int) -> None:
        """Count one call to an outside provider; ``operation`` is the provider's name for it."""
        self._calls.labels(operation, outcome).inc()
        self._attempts.labels(operation).inc(attempts)
        self._call_duration.labels(operation).observe(seconds)

    def provider_state(self, breaker: BreakerState, waiting: int) -> None:
        """Tell whether an outside provider is left alone, and how many calls wait for their turn."""
        self._left_alone.set(_OPENNESS[breaker])
        self._waiting.set(waiting)

    def provider_calls_left(self, calls: int) -> None:
        """Tell how many calls the month still has."""
        self._calls_left.set(calls)

    def hybrid_answered(self, by: str) -> None:
        """Count one case of the provider ``hybrid`` by whom it was answered."""
        self._labelled(self._cases, by).inc()

    def hybrid_compared(self, internal: str, verato: str) -> None:
        """Count one person about whom both have an opinion: same, undecided or different."""
        self._opinions.labels(internal, verato).inc()

    def provider_certificate(self, ends: datetime) -> None:
        """Tell when the certificate expires with which an outside provider is called."""
        self._certificate.set(ends.timestamp())

    def outbox_waiting(self, kind: str, count: int, oldest: float) -> None:
        """Tell how many errands of a kind wait, and for how many seconds the oldest does."""
        self._outbox_waiting.labels(kind).set(count)
        self._outbox_oldest.labels(kind).set(oldest)

    def outbox_ran(self, kind: str, outcome: str) -> None:
        """Count one errand that was run; ``outcome`` is one of our words."""
        self._outbox_ran.labels(kind, outcome).inc()

    def cache_skipped(self, tier: str) -> None:
        """Count one call that a tier did not answer in time, or that was not even made."""
        self._labelled(self._skipped, tier).inc()

    def cache_state(self, tier: str, state: BreakerState) -> None:
        """Tell whether a tier is left out."""
        self._open.labels(tier).set(_OPENNESS[state])

    def decided(self, status: str) -> None:
        """Count one answer to a submission by its status."""
        self._labelled(self._decisions, status).inc()

    def shadowed(self, deciding: str, shadow: str) -> None:
        """Count one decision that the shadow model repeated."""
        self._shadowed.labels(deciding, shadow).inc()

    def _labelled(self, counter: Counter, label: str) -> Counter:
        child = self._labels.get((counter, label))
        if child is None:
            child = self._labels[counter, label] = counter.labels(label)
        return child

    def looked_up(self, narrowed: int) -> None:
        """Count one look-up of candidates, and the blocks that were too large for it."""
        self.count("mpi_candidate_lookups_total")
        self.count("mpi_blocks_narrowed_total", narrowed)

    def count(self, name: str, amount: int = 1) -> None:
        """Add to one of the counters that the heart reports, such as ``mpi_conflicts_total``."""
        self._counters[name].inc(amount)

    def render(self) -> bytes:
        """The text format of Prometheus, over all workers; of this one alone while the others cannot be read."""
        if folder := os.environ.get(shared_metrics.VARIABLE):
            try:
                return shared_metrics.rendered(Path(folder))
            except OSError:
                log.warning("metrics_of_one_worker", pid=os.getpid(), exc_info=True)
        return generate_latest(self.registry)


_OPENNESS = {BreakerState.CLOSED: 0.0, BreakerState.HALF_OPEN: 0.5, BreakerState.OPEN: 1.0}
_COUNTERS = {
    "mpi_candidate_lookups_total": "Look-ups of candidates in the index, for answers, searches and repetitions.",
    "mpi_blocks_narrowed_total": "Blocks too large to read whole, narrowed by a further trait.",
    "mpi_conflicts_total": "Commits repeated because the neighbourhood changed meanwhile.",
    "mpi_shadow_skipped_total": "Decisions that the shadow model had no time to repeat.",
    "mpi_batch_rows_total": "Rows of batches answered, errors included.",
}


def configure_logging(level: str) -> None:
    """JSON lines on standard error, for our own loggers and those of the libraries."""
    shared = (
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _place_exception,
    )
    structlog.configure(
        processors=[*shared, _keep_allowed, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_withhold_foreign, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _keep_allowed,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # The serve command says by itself where it serves; from uvicorn only trouble is of interest.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    # One line for every call; metrics tell more.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # Its debug lines are whole documents; they would be withheld, but only after they were made.
    logging.getLogger("pymongo").setLevel(logging.WARNING)


Event = MutableMapping[str, Any]


def _withhold_foreign(_logger: Any, _method: str, event: Event) -> Event:
    """Keep the name of a library's logger, and its format string where that is known to be fixed.

    The values put into it may be anything, and asyncio puts an exception's text in beforehand.
    """
    record: logging.LogRecord = event["_record"]
    event["event"] = str(record.msg) if record.name.startswith("uvicorn") else "library_message"
    event["exc_info"] = record.exc_info
    return event


def _place_exception(_logger: Any, _method: str, event: Event) -> Event:
    """Replace an exception by its type and the place that raised it; its message may quote data."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["where"] = place_of(error.__traceback__)
    return event


def place_of(trace: TracebackType | None) -> str:
    """Where an exception was raised: module, function and line."""
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}.{code.co_qualname}:{trace.tb_lineno}"


_PLAIN = str | int | float | None
"""A structure could hold a patient's values and be written with all of them."""


def _keep_allowed(_logger: Any, _method: str, event: Event) -> Event:
    """Keep what is known to be harmless: values of the allowed names, and of these only plain ones."""
    return {
        key: value
        for key, value in event.items()
        if key.startswith("_") or (key in ALLOWED and isinstance(value, _PLAIN))
    }
