"""From settings to Verato: credentials, limits and the form of what is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b

import orjson

from mpi.bootstrap.tiers import redis_place
from mpi.cache.redis_pace import RedisPace
from mpi.errors import ConfigurationError
from mpi.ports import IndexStore
from mpi.providers.verato.access import Access, Credentials, check_sources, open_access
from mpi.providers.verato.budget import Budget
from mpi.providers.verato.client import BREAKER, CallReport, Limits, VeratoClient
from mpi.providers.verato.counterpart import VeratoCounterpart
from mpi.providers.verato.health import check_certificate
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.outcome import Reason
from mpi.providers.verato.payload import PayloadForm
from mpi.providers.verato.provider import VeratoProvider
from mpi.providers.verato.transport import Timeouts
from mpi.service.preparation import ANONYMOUS
from mpi.settings import Settings
from mpi.telemetry import Metrics

_START_TPS = 8.0
"""What every production customer may send; more is reached by the ramp."""
USED_OF_LIMIT = 0.95
"""Part of the limit that is used. Some calls take longer to leave and to arrive than others: as long as they differ by
less than 50 ms, no second sees more than the limit."""


@dataclass(frozen=True, slots=True)
class Verato:
    """The ways in which Verato is used, over the same connections and limits."""

    index: VeratoIndex
    provider: VeratoProvider
    counterpart: VeratoCounterpart
    certificate_ends: datetime | None

    async def check_certificate(self) -> None:
        """Raises ``CertificateExpiring`` when it is time to have another one issued."""
        check_certificate(self.certificate_ends, datetime.now(UTC))


def open_verato(
    settings: Settings, store: IndexStore, metrics: Metrics, budget: Budget | None
) -> Verato:
    """What ``VERATO_*`` describe, within a budget of calls if there is one. Verato is not asked yet.

    Raises:
        ConfigurationError: names the setting that is wrong or missing, and the remedy.
    """
    check_sources(settings.verato_sources)
    _check_timeouts(settings)
    access = open_access(
        settings.verato_endpoint, settings.verato_path_prefix, _credentials(settings)
    )

    if access.certificate_ends is not None:
        metrics.provider_certificate(access.certificate_ends)

    def report(call: CallReport) -> None:
        # Told apart: a budget that is spent says nothing of how Verato does.
        is_spent = call.reason is Reason.BUDGET_SPENT
        outcome = call.reason if is_spent else call.outcome
        metrics.provider_called(call.operation, outcome, call.seconds, call.attempts)
        metrics.provider_state(call.breaker, call.waiting)

    client = VeratoClient(
        access,
        version=settings.verato_api_version,
        real_time=Timeouts(
            settings.verato_connect_timeout,
            settings.verato_read_timeout,
            settings.verato_total_timeout,
        ),
        batch=Timeouts(
            settings.verato_connect_timeout,
            settings.verato_batch_read_timeout,
            settings.verato_batch_total_timeout,
        ),
        limits=_limits(settings),
        breaker=replace(
            BREAKER,
            share=settings.verato_breaker_share,
            calls=settings.verato_breaker_calls,
            window=settings.verato_breaker_window,
            pause=settings.verato_breaker_pause,
        ),
        overlay=settings.verato_overlay,
        budget=budget,
        pace=_pace(settings, access),
        report=report,
    )
    form = PayloadForm(
        version=settings.verato_api_version,
        date_format=settings.verato_dates,
        ssn_format=settings.verato_ssns,
        formats=tuple(name.strip() for name in settings.verato_formats.split(",")),
        sources=settings.verato_sources,
    )
    index = VeratoIndex(client, form)
    provider = VeratoProvider(
        index,
        store,
        version=_version(access, settings),
        unposted=ANONYMOUS,
        probed=next(iter(settings.verato_sources), None),
    )
    counterpart = VeratoCounterpart(index, unposted=ANONYMOUS)
    return Verato(index, provider, counterpart, access.certificate_ends)


def _check_timeouts(settings: Settings) -> None:
    totals = {
        "VERATO_TIMEOUT_TOTAL": settings.verato_total_timeout,
        "VERATO_BATCH_TIMEOUT_TOTAL": settings.verato_batch_total_timeout,
    }
    for name, total in totals.items():
        if total < settings.verato_connect_timeout:
            raise ConfigurationError(
                f"{name} must be at least VERATO_TIMEOUT_CONNECT, which is a part of it; raise the one or lower the "
                "other"
            )


def _version(access: Access, settings: Settings) -> str:
    """Names what an answer depends on: which customer asks which Verato, how questions are written and answers read."""
    asked = (
        access.endpoint,
        settings.verato_username,
        settings.verato_formats,
        settings.verato_dates,
        settings.verato_ssns,
        settings.verato_sources,
        settings.verato_overlay,
    )
    digest = blake2b(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS), digest_size=4).hexdigest()
    return f"verato-{settings.verato_api_version}-{digest}"


def _credentials(settings: Settings) -> Credentials:
    key = settings.verato_api_key
    return Credentials(
        username=settings.verato_username,
        password_file=settings.verato_password_file,
        api_key=None if key is None else key.get_secret_value(),
        auth_mode=settings.verato_auth_mode,
        client_cert=settings.verato_client_cert,
        client_key=settings.verato_client_key,
        client_pfx=settings.verato_client_pfx,
        pfx_password_file=settings.verato_pfx_password,
        ca=settings.verato_ca,
    )


def _pace(settings: Settings, access: Access) -> RedisPace | None:
    """The limit in Redis, where there is one. It is the customer's: every index that calls in his name shares it."""
    if "redis" not in settings.remote_tiers:
        return None
    customer = orjson.dumps((access.endpoint, settings.verato_username))
    return RedisPace(
        redis_place(settings).client(),
        f"mpi:pace:{blake2b(customer, digest_size=8).hexdigest()}",
        most=USED_OF_LIMIT * settings.verato_max_tps,
        start=_START_TPS,
        ramp=settings.verato_ramp,
    )


def _limits(settings: Settings) -> Limits:
    """Every worker gets an equal share of what the customer may send, to use while there is no limit in common."""
    return Limits(
        tps=USED_OF_LIMIT * settings.verato_max_tps / settings.worker_count,
        start=_START_TPS / settings.worker_count,
        ramp=settings.verato_ramp / settings.worker_count,
        concurrency=settings.verato_concurrency,
        connections=settings.connection_pool_size,
        retries=settings.verato_max_retries,
    )
