"""What every test shares: reproducible examples, and nothing taken from the surroundings."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bench.daemons import Mongod, Valkey
from tests.support import hanging

# In CI a red run must be red again on a developer's machine; at home new examples are welcome.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("home"), max_examples=8_000)
settings.load_profile("ci" if os.environ.get("CI") else "home")

Effort = Callable[[int, int], int]
"""Chooses one of two numbers: enough to notice a defect, or enough to prove that there is none."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the long proofs be asked for; they are the same tests with larger numbers."""
    parser.addoption(
        "--proof",
        action="store_true",
        help="repeat races, crashes and hostile requests as often as a proof needs (`make proof`)",
    )


_LONGEST_PROOF = 2_400
"""Seconds, where a usual test has the `timeout` of pyproject.toml: the longest proofs take about ten minutes."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give what is repeated as often as a proof needs more time before it counts as stuck."""
    plays_long = config.getoption("hypothesis_profile", None) == "long"
    proves = bool(config.getoption("--proof"))
    for item in items:
        if plays_long or (proves and item.get_closest_marker("proof")):
            item.add_marker(pytest.mark.timeout(_LONGEST_PROOF))


def pytest_configure(config: pytest.Config) -> None:
    """End what hangs, and stop a second measurement of coverage in each process of `pytest -n`, which nobody reads.

    pytest-cov 7.1 begins one when it is loaded, and another one for the process that it finds itself in, which nothing
    pauses.
    """
    config.pluginmanager.register(hanging)
    plugin = config.pluginmanager.getplugin("_cov")
    if hasattr(config, "workerinput") and plugin is not None and plugin.cov_controller is not None:
        plugin.cov_controller.cov.stop()


_MEASURED = (
    "unit/domain",
    "unit/matching",
    "unit/service",
    "unit/stores",
    "contract",
    "integration",
    "e2e/test_migrate",
)
"""Tests that show what is tried of the heart. Measuring slows a test down up to 3 times."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the coverage of the heart where its own tests are: the others would only be slower."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    controller = plugin and plugin.cov_controller
    place = item.path.relative_to(Path(__file__).parent).as_posix()
    if controller is None or place.startswith(_MEASURED):
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


@pytest.fixture(scope="session")
def effort(request: pytest.FixtureRequest) -> Effort:
    """How often to repeat: ``effort(usually, in a proof)``."""
    proof = bool(request.config.getoption("--proof"))
    return lambda usually, proving: proving if proof else usually


_SETTING_PREFIXES = ("MPI_", "VERATO_", "REDIS_", "MONGODB_", "MONGO_", "LOG_LEVEL", "CACHE_TTL")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests: a test names the ones it means."""
    for name in list(os.environ):
        if name.startswith(_SETTING_PREFIXES):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of this checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A replica set of one; every test uses a database of its own in it. Faults need a server of their own."""
    server = Mongod(tmp_path_factory.mktemp("mongod"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey for tests that use keys of their own. Faults need a server of their own."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()
