"""What goes wrong, and when: a plan that tests and trials write over the control port."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

ANY_OPERATION = "*"


class Kind(StrEnum):
    """Everything that can be told to go wrong.

    ``slow``, ``success_false`` and ``429_text`` (``Retry-After``) take a value after a colon.
    """

    # Instead of an answer; nothing is applied.
    REFUSED_401 = "401"
    HTML_403 = "403_html"
    BLANK_400 = "400_blank"
    BLANK_404 = "404_blank"
    TEXT_429 = "429_text"
    BLANK_500 = "500_blank"
    UNAVAILABLE_503 = "503"
    HTML_504 = "504_html"
    SLOW = "slow"
    HANG = "hang"
    RESET = "reset"
    SUCCESS_FALSE = "success_false"
    OVERLAY = "overlay"
    # With the answer; what was asked is applied.
    CLOSE_MID_BODY = "close_mid_body"
    MALFORMED_JSON = "malformed_json"
    EMPTY_200 = "empty_200"
    WRONG_TRACKING_ID = "wrong_tracking_id"
    UNKNOWN_FIELDS = "unknown_fields"
    INFLATED = "inflated"
    LONG_LINK_ID = "long_linkId"
    ENDLESS_PAGES = "endless_pages"
    NUMERIC_LINK_ID = "numeric_linkId"
    MISSING_LINK_ID = "missing_linkId"
    APPLIED_THEN_TIMEOUT = "applied_then_timeout"
    DUPLICATE_DELIVERY = "duplicate_delivery"
    LINK_ID_CHANGED = "link_id_changed"
    NOTIFICATIONS_OUT_OF_ORDER = "notifications_out_of_order"
    PAGING_SHIFT = "paging_shift"


REPLIES: dict[Kind, tuple[int, str, str]] = {
    Kind.REFUSED_401: (401, "text/html", "<html><body>User is not authenticated</body></html>"),
    Kind.HTML_403: (403, "text/html", "<html><body>Forbidden</body></html>"),
    Kind.BLANK_400: (400, "text/plain", ""),
    Kind.BLANK_404: (404, "text/plain", ""),
    Kind.TEXT_429: (
        429,
        "text/plain",
        "Requests are being sent at a rate above the defined limit. Excess requests are not processed.",
    ),
    Kind.BLANK_500: (500, "text/plain", ""),
    Kind.UNAVAILABLE_503: (503, "text/plain", "Service Unavailable"),
    Kind.HTML_504: (504, "text/html", "<html><body>504 Gateway Time-out</body></html>"),
}
"""Status, media type and body of the kinds that are a plain answer of a gateway."""


@dataclass(slots=True)
class Fault:
    """One entry of the plan. ``times`` None means for ever; ``value`` is what followed the colon."""

    operation: str
    kind: Kind
    value: str = ""
    times: int | None = 1
    probability: float = 1.0

    @classmethod
    def read(cls, given: dict[str, Any]) -> Fault:
        """From ``{"op", "kind", "times", "probability"}``. Raises ``ValueError`` when it cannot be read."""
        kind, _, value = str(given.get("kind", "")).partition(":")
        times = given.get("times", 1)
        if not (times is None or (isinstance(times, int) and times > 0)):
            raise ValueError("times must be a whole number from 1, or null for ever")
        fault = cls(
            operation=str(given.get("op", ANY_OPERATION)),
            kind=Kind(kind),
            value=value,
            times=times,
            probability=float(given.get("probability", 1)),
        )
        if fault.kind is Kind.SLOW:
            float(value)
        return fault


class FaultPlan:
    """Faults in the order they were planned; the first that applies happens."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.clear()

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._faults: list[Fault] = []
        self._chance = Random(self._seed)

    def add(self, faults: Iterable[Fault]) -> None:
        """Plan more."""
        self._faults.extend(faults)

    def take(self, operation: str) -> Fault | None:
        """What goes wrong with this request, counted."""
        for fault in self._faults:
            if fault.operation not in (operation, ANY_OPERATION):
                continue
            if fault.probability < 1 and self._chance.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
            return fault
        return None

    def __len__(self) -> int:
        return len(self._faults)
