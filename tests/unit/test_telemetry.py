"""Logs keep allowed keys only; exceptions are told by type and place."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from mpi.matching.record import StandardRecord
from mpi.telemetry import Metrics, configure_logging

SENTINEL = "Zqxsentinel"


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def test_only_allowed_keys_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    structlog.get_logger("mpi.x").info("started", pid=8000, patient=SENTINEL, first_name=SENTINEL)
    (line,) = lines(capsys)
    assert line.keys() == {"event", "level", "logger", "pid", "timestamp"}


def test_a_structure_is_not_printed_under_an_allowed_key_either(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO")
    told = StandardRecord(dob=SENTINEL), [SENTINEL]
    structlog.get_logger("mpi.x").info("started", pid=8000, problem=told[0], version=told[1])
    (line,) = lines(capsys)
    assert line.keys() == {"event", "level", "logger", "pid", "timestamp"}


def test_exceptions_lose_their_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    try:
        raise ValueError(SENTINEL)
    except ValueError:
        structlog.get_logger("mpi.x").exception("failed")
        logging.getLogger("somebody.elses").exception("failed for %s", SENTINEL)
    for line in lines(capsys):
        assert line["error"] == "ValueError"
        assert "test_exceptions_lose_their_message" in line["where"]
        assert SENTINEL not in json.dumps(line)


def test_libraries_say_that_they_spoke_not_what(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger("asyncio").error("Task exception was never retrieved: %s", SENTINEL)
    logging.getLogger("asyncio").error("formatted before: " + SENTINEL)  # noqa: G003
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.access").info("GET /mpi/records/%s", SENTINEL)
    found = lines(capsys)
    assert [line["event"] for line in found] == [
        "library_message",
        "library_message",
        "Invalid HTTP request received.",
    ]
    assert SENTINEL not in json.dumps(found)


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("WARNING")
    structlog.get_logger("mpi.x").info("quiet")
    structlog.get_logger("mpi.x").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_metrics_render_every_name_from_the_start() -> None:
    text = Metrics().render().decode()
    for name in (
        "mpi_requests_total",
        "mpi_request_duration_seconds",
        "mpi_cache_hits_total",
        "mpi_cache_misses_total",
        "mpi_active_connections",
        "mpi_blocks_narrowed_total",
    ):
        assert f"# HELP {name} " in text
