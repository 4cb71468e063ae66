"""Answers told from failures, and what to do about those: one sentence for whoever runs the service, no secret."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from mpi.errors import (
    CertificateExpiring,
    ProviderLeftAlone,
    ProviderRefusal,
    ProviderUnavailable,
)
from mpi.providers.verato.client import VeratoClient
from mpi.providers.verato.outcome import CONSEQUENCES, CallOutcome, Reason
from mpi.providers.verato.payload import Reply

_LONGEST_WAIT_S = 60
_IN_TIME = timedelta(days=30)

_REMEDIES: Mapping[Reason, str] = {
    Reason.WRONG_PASSWORD: "Verato refuses the user or the password: correct VERATO_USERNAME and "
    "VERATO_PASSWORD_FILE (or VERATO_API_KEY), then start anew; what is corrected at Verato is found out within "
    "ten minutes",
    Reason.FORBIDDEN: "Verato forbids the access: have this machine's public address allowed there, which is found out "
    "within ten minutes, or make VERATO_CLIENT_CERT_FILE the certificate issued for VERATO_USERNAME and start anew",
    Reason.NO_SUCH_PATH: "there is no such interface: correct VERATO_ENDPOINT, VERATO_PATH_PREFIX or "
    "VERATO_API_VERSION",
    Reason.UNKNOWN_HOST: "the host is not known: correct VERATO_ENDPOINT, or mend the name service",
    Reason.SERVER_CERTIFICATE: "the server's certificate is not trusted: correct VERATO_CA_FILE or "
    "VERATO_ENDPOINT",
    Reason.NO_CONNECTION: "nothing answers at VERATO_ENDPOINT: have this machine's public address allowed at "
    "Verato, open the way through the firewall, or correct the address",
    Reason.TORN: "Verato ends the connections: check that VERATO_CLIENT_CERT_FILE is the certificate it issued, and "
    "have this machine's public address allowed there",
    Reason.TOO_SLOW: "Verato does not answer in time; if that lasts, ask Verato, or raise VERATO_TIMEOUT_READ",
    Reason.SERVER_ERROR: "Verato reports trouble of its own; if that lasts, ask Verato",
    Reason.BAD_REQUEST: "Verato finds the requests malformed: correct VERATO_API_VERSION",
    Reason.REFUSED: "Verato refuses a source: correct VERATO_SOURCE_MAP, or have the source made and this user "
    "allowed to use it",
    Reason.NOT_VERATO: "what answers at VERATO_ENDPOINT is not Verato: correct VERATO_ENDPOINT, or mend the proxy "
    "in between",
    Reason.RATE_LIMIT: "Verato receives more than its limit: lower VERATO_MAX_TPS, or have the limit raised",
    Reason.OWN_LIMIT: "more is asked than VERATO_MAX_TPS allows: raise it as far as the contract permits",
    Reason.BUDGET_SPENT: "the calls of this month are spent: raise MPI_HYBRID_MONTHLY_CALLS, or wait for the next",
    Reason.BREAKER_OPEN: "Verato is not asked for a while, because it kept failing",
}


def problem(reason: Reason) -> str | None:
    """What is wrong when a call ended for this reason, with the remedy; None when Verato answers as it should."""
    return _REMEDIES.get(reason)


def check_certificate(ends: datetime | None, now: datetime) -> None:
    """Raise ``CertificateExpiring`` when less than a month is left: Verato needs its time to issue another."""
    if ends is not None and ends - now < _IN_TIME:
        raise CertificateExpiring(
            f"the client certificate for Verato expires on {ends:%Y-%m-%d}: have Verato issue another, put it where "
            "VERATO_CLIENT_CERT_FILE or VERATO_CLIENT_PFX_FILE says, then start anew"
        )


def trouble(client: VeratoClient, reason: Reason) -> str | None:
    """What is wrong when a call ended for this reason; when Verato is not asked at all, what was wrong before."""
    return problem(client.trouble if reason is Reason.BREAKER_OPEN else reason)


def answered(client: VeratoClient, reply: Reply) -> Reply:
    """The reply, if Verato says something by it. Raises ``ProviderRefusal`` or ``ProviderUnavailable``, which is
    ``ProviderLeftAlone`` when nobody was asked."""
    if reply.outcome is CallOutcome.REJECTED:
        raise ProviderRefusal("Verato refuses the request; see whether its source may be used")
    if not CONSEQUENCES[reply.outcome].is_answer:
        left_alone = reply.reason is Reason.BREAKER_OPEN
        raise (ProviderLeftAlone if left_alone else ProviderUnavailable)(
            trouble(client, reply.reason) or "Verato gives no answer",
            reason=str(reply.reason),
            retry_after=max(1, math.ceil(min(client.retry_after, _LONGEST_WAIT_S))),
        )
    return reply
