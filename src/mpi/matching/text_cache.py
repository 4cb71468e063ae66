"""Results that are kept for texts that come again with every other patient."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONGEST = 100
"""Characters of a text that is worth keeping. Longer ones hardly come again, and would let senders fill the memory."""


class _Kept(OrderedDict[str, T]):
    """Results by text. What is known is looked up without a step of Python; the oldest leaves when it is full."""

    def __init__(self, read: Callable[[str], T], count: int) -> None:
        super().__init__()
        self._read, self._count = read, count

    def __missing__(self, text: str) -> T:
        result = self._read(text)
        if len(text) <= LONGEST:
            self[text] = result
            if len(self) > self._count:
                self.popitem(last=False)
        return result


def remembered(count: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """Keep the results of a function of a text for the ``count`` texts that were read last."""

    def decorate(read: Callable[[str], T]) -> Callable[[str], T]:
        return _Kept(read, count).__getitem__

    return decorate
