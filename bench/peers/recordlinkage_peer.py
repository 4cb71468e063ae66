"""recordlinkage 0.16: compares the pairs it is given, on one thread, and tells the time each round took.

Runs in the peers' environment, apart from the service. The one question names a CSV of cleaned traits and how far
apart, in the order of the file, two records of a pair may lie; every further line asks for one more round.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

import numpy as np
import pandas as pd
import recordlinkage

_FUZZY = ("given", "family", "middle", "street", "city")
_EXACT = ("dob", "sex", "ssn", "zip", "phone")


def main() -> None:
    """Read the file, then compare once per line."""
    question = json.loads(sys.stdin.readline())
    frame = pd.read_csv(question["file"], dtype=str)
    pairs = _window(len(frame), question["window"])
    compare = recordlinkage.Compare(n_jobs=1)
    for column in _FUZZY:
        compare.string(column, column, method="jarowinkler", threshold=0.88)
    for column in _EXACT:
        compare.exact(column, column)
    print(json.dumps({"pairs": len(pairs)}), flush=True)
    for _ in sys.stdin:
        started = perf_counter()
        levels = compare.compute(pairs, frame)
        print(json.dumps({"seconds": perf_counter() - started, "pairs": len(levels)}), flush=True)


def _window(rows: int, window: int) -> pd.MultiIndex:
    """Every record with the ``window`` records that follow it."""
    left = np.repeat(np.arange(rows), window)
    right = left + np.tile(np.arange(1, window + 1), rows)
    inside = right < rows
    return pd.MultiIndex.from_arrays([left[inside], right[inside]])


if __name__ == "__main__":
    main()
