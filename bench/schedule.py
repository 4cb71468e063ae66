"""The open loop: requests leave when their time has come, however slow the answers are.

Latency counts from the scheduled time, so a service that stalls cannot hide the requests that had to wait.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """``rate`` requests a second for ``seconds``, evenly spaced; times count from the start."""

    rate: float
    seconds: float

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.count < 1:
            raise ValueError("a schedule needs a rate above 0 and time for one request")

    @property
    def count(self) -> int:
        """How many requests there are."""
        return math.floor(self.rate * self.seconds + 1e-9)

    def due(self, number: int) -> float:
        """When request ``number`` (from 0) is to leave, in seconds."""
        return number / self.rate

    def due_by(self, now: float) -> int:
        """How many requests should have left at ``now``."""
        if now < 0:
            return 0
        return min(self.count, math.floor(now * self.rate + 1e-9) + 1)

    def wait(self, sent: int, now: float) -> float | None:
        """Seconds until the next request is due (0 when it is late); None when all were sent."""
        return max(0.0, self.due(sent) - now) if sent < self.count else None
