"""Results that are kept for texts that come again with every other patient."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar, TypeVarTuple, cast

T = TypeVar("T")
Texts = TypeVarTuple("Texts")

LONGEST = 100
"""Characters of a text that is worth keeping. Longer ones hardly come again, and would let senders fill the memory."""


def remembered(count: int) -> Callable[[Callable[[*Texts], T]], Callable[[*Texts], T]]:
    """Keep the results of a function of texts for the ``count`` texts that were asked for last."""

    def decorate(read: Callable[[*Texts], T]) -> Callable[[*Texts], T]:
        kept = lru_cache(maxsize=count)(read)

        @wraps(read)
        def reading(*texts: *Texts) -> T:
            # A loop is quicker than a sum or any(): most are asked for one text, a dozen times a comparison.
            for text in cast("tuple[str, ...]", texts):
                if len(text) > LONGEST:
                    return read(*texts)
            return kept(*texts)

        return reading

    return decorate
