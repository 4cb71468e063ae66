"""What became of a call to Verato: one word that decides about retries, breaker, cache, metrics and fallback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mpi.domain.identity import REFUSED


class CallOutcome(StrEnum):
    """As metrics name it."""

    LINKED = "linked"
    NO_MATCH = "no_match"
    OVERLAY_REJECTED = "overlay_rejected"
    REJECTED = REFUSED  # understood and refused: this request, not Verato, is what is wrong
    PROTOCOL_ERROR = "protocol_error"  # an answer that is not one of Verato's
    CONFIG_ERROR = "config_error"  # nothing is there to be asked
    AUTH_ERROR = "auth_error"
    THROTTLED = "throttled"  # by Verato, or by our own limit: not processed
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"  # a write that may have taken effect


class BreakerSignal(StrEnum):
    """What the circuit breaker learns from a call."""

    WELL = "well"
    FAILED = "failed"
    NOTHING = "nothing"
    TRIP = "trip"


class Keep(StrEnum):
    """Whether the answer to a query may be given again, and by which of the two lifetimes."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Consequence:
    """``retries`` is how often a call with this outcome is repeated at most."""

    retries: int
    breaker: BreakerSignal
    keep: Keep
    is_answer: bool


CONSEQUENCES: Mapping[CallOutcome, Consequence] = {
    CallOutcome.LINKED: Consequence(0, BreakerSignal.WELL, Keep.POSITIVE, is_answer=True),
    CallOutcome.NO_MATCH: Consequence(0, BreakerSignal.WELL, Keep.NEGATIVE, is_answer=True),
    CallOutcome.OVERLAY_REJECTED: Consequence(0, BreakerSignal.WELL, Keep.NO, is_answer=True),
    # Not even a success: one poisoned patient neither opens the breaker nor keeps it closed.
    CallOutcome.REJECTED: Consequence(0, BreakerSignal.NOTHING, Keep.NO, is_answer=True),
    CallOutcome.PROTOCOL_ERROR: Consequence(1, BreakerSignal.FAILED, Keep.NO, is_answer=False),
    CallOutcome.CONFIG_ERROR: Consequence(0, BreakerSignal.FAILED, Keep.NO, is_answer=False),
    # Repeating a wrong password locks the account: it is tried again once in a long while.
    CallOutcome.AUTH_ERROR: Consequence(0, BreakerSignal.TRIP, Keep.NO, is_answer=False),
    CallOutcome.THROTTLED: Consequence(2, BreakerSignal.NOTHING, Keep.NO, is_answer=False),
    CallOutcome.UNAVAILABLE: Consequence(2, BreakerSignal.FAILED, Keep.NO, is_answer=False),
    CallOutcome.UNKNOWN: Consequence(1, BreakerSignal.FAILED, Keep.NO, is_answer=False),
}
"""What is no answer falls back to our own matching where a strategy has one."""


class Reason(StrEnum):
    """Why there is no answer, for whoever has to mend it. Stable, and free of what was asked."""

    NONE = ""
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a reason, no password
    FORBIDDEN = "forbidden"
    NO_SUCH_PATH = "no_such_path"
    UNKNOWN_HOST = "unknown_host"
    SERVER_CERTIFICATE = "server_certificate"
    NO_CONNECTION = "no_connection"
    TORN = "torn"
    TOO_SLOW = "too_slow"
    SERVER_ERROR = "server_error"
    BAD_REQUEST = "bad_request"
    REFUSED = "refused"
    NOT_VERATO = "not_verato"
    RATE_LIMIT = "rate_limit"
    OWN_LIMIT = "own_limit"
    BREAKER_OPEN = "breaker_open"
    BUDGET_SPENT = "budget_spent"
