"""What is still to be said to an index elsewhere. It names records, and holds nothing of what they say.

An errand says what to look after, never what to do: whoever runs it reads how things stand by then. So it may be run
late, twice, or after another about the same records, and the end is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from mpi.domain.record import RecordKey


class ErrandKind(StrEnum):
    POST = "post"  # tell of the record as it stands
    ALIGN = "align"  # see that these records are one patient there exactly where they are one here
    RETIRE = "retire"  # the first record has replaced the second, in one source
    FOLLOW = "follow"  # see whom the records belong to there by now
    LISTEN = "listen"  # ask what has changed there; goes on for ever


SINCE = "since"
"""The mark of a post of which the record is told even if it was answered about: something else was told since, and that
was not stored."""


class Lane(IntEnum):
    """A smaller lane goes first, always."""

    REAL_TIME = 0
    BATCH = 1


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to be done, not before ``due_at`` (None: at once). Equal kind and records is the same errand.

    ``mark`` is how far one has come that goes on; see also ``SINCE``.
    """

    kind: ErrandKind
    records: tuple[RecordKey, ...] = ()
    lane: Lane = Lane.BATCH
    due_at: datetime | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class LeasedErrand:
    """An errand that one worker may run until ``until``. ``attempts`` failed before, the last one for ``reason``.

    ``lease`` and ``wanted`` tell whether it is still this worker's, and whether it was queued again meanwhile.
    """

    errand: Errand
    created_at: datetime
    until: datetime
    attempts: int
    reason: str | None
    lease: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many errands of a kind wait, leased ones too, since when the oldest does, and the least mark among them."""

    kind: ErrandKind
    count: int
    oldest: datetime
    mark: str | None = None
