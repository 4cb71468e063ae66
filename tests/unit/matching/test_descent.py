import numpy as np
import pytest

from mpi.matching.descent import Vector, minimise

CURVATURE = np.array([1.0, 30.0, 1_000.0])
TARGET = np.array([3.0, -2.0, 0.5])


def bowl(point: Vector) -> tuple[float, Vector]:
    away = point - TARGET
    return float(CURVATURE @ away**2), 2 * CURVATURE * away


def valley(point: Vector) -> tuple[float, Vector]:
    """Rosenbrock's function: a curved valley, its floor at (1, 1)."""
    x, y = point
    value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    return float(value), np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


def test_the_floor_of_a_narrow_bowl_is_found() -> None:
    found = minimise(bowl, np.zeros(3), lambda point: point, tolerance=1e-8)
    assert found.settled
    assert found.point == pytest.approx(TARGET, abs=1e-6)
    assert found.steps < 100


def test_a_curved_valley_is_followed_to_its_end() -> None:
    found = minimise(valley, np.array([-1.2, 1.0]), lambda point: point, tolerance=1e-6)
    assert found.settled
    assert found.point == pytest.approx([1, 1], abs=1e-4)


def test_every_point_looked_at_is_allowed_and_the_nearest_allowed_one_is_the_answer() -> None:
    seen: list[Vector] = []

    def watched(point: Vector) -> tuple[float, Vector]:
        seen.append(point)
        return bowl(point)

    found = minimise(watched, np.full(3, 9.0), lambda point: np.clip(point, 0, 1), tolerance=1e-8)
    assert found.point == pytest.approx([1.0, 0.0, 0.5])
    assert all((point >= 0).all() and (point <= 1).all() for point in seen)


def test_the_search_ends_with_the_best_point_it_saw_when_steps_run_out() -> None:
    found = minimise(valley, np.array([-1.2, 1.0]), lambda point: point, steps=5)
    assert not found.settled
    assert found.steps == 5
    assert found.value <= valley(np.array([-1.2, 1.0]))[0]
    assert found.value == valley(found.point)[0]
