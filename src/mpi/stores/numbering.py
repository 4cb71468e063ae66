"""Names for events and tasks that people can type: the sequence number in the form of an ``mpi_id``.

``EVT-`` or ``TSK-``, eight characters and a check character: they sort by creation, and a mistyped one is
found before it undoes somebody else's decision.
"""

from __future__ import annotations

from mpi.domain.mpi_id import ALPHABET, PREFIX, format_mpi_id, parse_mpi_id

_EVENT, _TASK = "EVT-", "TSK-"


def event_id(seq: int) -> str:
    """The public name of event number ``seq``."""
    return _EVENT + format_mpi_id(seq)[len(PREFIX) :]


def event_seq(text: str) -> int | None:
    """The number behind an event id, however typed; None when it cannot be one."""
    return _number(text, _EVENT)


def task_id(number: int) -> str:
    """The public name of task ``number``."""
    return _TASK + format_mpi_id(number)[len(PREFIX) :]


def task_number(text: str) -> int | None:
    """The number behind a task id, however typed; None when it cannot be one."""
    return _number(text, _TASK)


def person_number(mpi_id: str) -> int | None:
    """The number behind an ``mpi_id`` in its canonical form; None for anything else."""
    number = _number(mpi_id, PREFIX)
    return None if number is None or format_mpi_id(number) != mpi_id else number


def _number(text: str, prefix: str) -> int | None:
    compact = text.strip().upper()
    if not compact.startswith(prefix[:-1]):
        return None
    canonical = parse_mpi_id(PREFIX + compact[len(prefix) - 1 :])
    if canonical is None:
        return None
    number = 0
    for character in canonical[len(PREFIX) : -1]:
        number = number * len(ALPHABET) + ALPHABET.index(character)
    return number
