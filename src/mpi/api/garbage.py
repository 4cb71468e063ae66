"""Garbage is collected between answers, not while a patient waits for one.

Nearly everything dies young or by reference counting. The rest would be looked for in the midst of a match, two or
three times in each: 3 % of its time, and a seventh of the slowest ones'.
"""

from __future__ import annotations

import gc

_DUE = (300, 10, 40_000)
"""A generation is due after so many: new objects; collections of the young; collections of the middle-aged.

The middle-aged are what the young left: after forty collections 3.5 ms to walk (8 at most), after ten a quarter.
The oldest is due every 160,000 matches or so. It is walked whole: 9 ms for 10,000 kept answers, 51 ms for 40,000.
"""
_WITHOUT_ANSWERS = 20_000
"""Young objects after which the interpreter collects by itself: in batches, and in what runs in the background."""


def collect_between_answers() -> None:
    """Spare whoever waits. What the start made lives as long as the worker, and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_WITHOUT_ANSWERS, _DUE[1], _DUE[2] // 10)


def collect_if_due() -> None:
    """Collect the oldest generation that is due. To be called when an answer has left; others may be under way."""
    counts = gc.get_count()
    for generation in (2, 1, 0):
        if counts[generation] > _DUE[generation]:
            gc.collect(generation)
            return
