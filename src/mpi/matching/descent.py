"""Minimise a smooth function over a convex set: spectral projected gradient.

Birgin, Martínez and Raydan (2000), "Nonmonotone spectral projected gradient methods on convex sets", SIAM Journal on
Optimization 10(4): steps of the length of Barzilai and Borwein, projected, and cut until the function falls below the
largest of its last values. Nothing but the function, its gradient and the projection is needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Function = Callable[[Vector], tuple[float, Vector]]
"""A point to its value and gradient."""

_MEMORY = 10
_SUFFICIENT = 1e-4
_SHORTEST, _LONGEST = 1e-10, 1e10
_CUTS = 40


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where the search ended. ``settled``: no feasible step promises more than the tolerance."""

    point: Vector
    value: float
    steps: int
    settled: bool


def minimise(
    function: Function,
    start: Vector,
    project: Callable[[Vector], Vector],
    *,
    steps: int = 300,
    tolerance: float = 1e-6,
    told: Callable[[int], object] | None = None,
) -> Minimum:
    """Search from ``start`` for at most so many steps. ``told`` hears of each step."""
    point = project(start)
    value, gradient = function(point)
    recent = deque([value], maxlen=_MEMORY)
    length = 1.0 / max(float(np.abs(project(point - gradient) - point).max()), _SHORTEST)
    best, lowest = point, value
    for step in range(steps):
        if float(np.abs(project(point - gradient) - point).max()) <= tolerance:
            return Minimum(best, lowest, step, settled=True)
        if told is not None:
            told(step)
        direction = project(point - length * gradient) - point
        found = _shortened(function, point, direction, float(gradient @ direction), max(recent))
        if found is None:
            return Minimum(best, lowest, step, settled=False)
        nearer, value, slope = found
        length = _spectral(nearer - point, slope - gradient)
        point, gradient = nearer, slope
        recent.append(value)
        if value < lowest:
            best, lowest = point, value
    return Minimum(best, lowest, steps, settled=False)


def _shortened(
    function: Function, point: Vector, direction: Vector, descent: float, ceiling: float
) -> tuple[Vector, float, Vector] | None:
    """The first point along the direction that lies enough below the ceiling, with value and gradient."""
    share = 1.0
    for _ in range(_CUTS):
        there = point + share * direction
        value, gradient = function(there)
        if value <= ceiling + _SUFFICIENT * share * descent:
            return there, value, gradient
        share /= 2
    return None


def _spectral(moved: Vector, turned: Vector) -> float:
    """The step length of Barzilai and Borwein: the inverse curvature along the last step."""
    curvature = float(moved @ turned)
    if curvature <= 0:
        return _LONGEST
    return min(max(float(moved @ moved) / curvature, _SHORTEST), _LONGEST)
