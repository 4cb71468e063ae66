"""One simulator for all tests of a module: it knows the truth, makes no errors, and is empty for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mpi.demo.verato.truth import People
from tests.support.hybrid import KNOWN
from tests.support.verato import Verato, running


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verato]:
    people = People(sensitivity=1, ppv=1)
    people.learn(KNOWN)
    with running(tmp_path_factory.mktemp("verato"), people=people) as verato:
        yield verato


@pytest.fixture
def verato(simulator: Verato) -> Verato:
    simulator.reset()
    simulator.pace(tps=0, latency_ms=0)
    return simulator
