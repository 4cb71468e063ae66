"""Values as numbers: what is worked on by the million is compared by its number. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32]


def numbered(start: int = 0) -> defaultdict[Any, int]:
    """Gives whatever is looked up a number, in the order in which it is first seen."""
    return defaultdict(count(start).__next__)


class Coded:
    """A value for every record, as numbers of the distinct ones."""

    def __init__(self, values: Iterable[Any]) -> None:
        known = numbered()
        self.codes: Codes = np.fromiter(map(known.__getitem__, values), np.int32)
        self.values = tuple(known)

    def spread(self, codes: Codes) -> None:
        """From one value for each of other values to one for every record that has them."""
        self.codes = self.codes[codes]
