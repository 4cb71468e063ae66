from pathlib import Path

import pytest

from bench.machine import BUSY
from bench.results import (
    Figure,
    Goal,
    Table,
    at_least,
    entry,
    faster,
    former,
    label,
    more,
    read,
    times,
    write,
)
from bench.show import cells, number, page
from bench.statistics import Spread

FIGURE = Figure(
    what="one connection, p50",
    unit="ms",
    ours=Spread(1.25, 1.0, 2.0, 5),
    beside="echo",
    theirs=Spread.of([0.5]),
    against="+0.75 ms",
    goal=Goal("≤ echo + 1 ms", met=True),
)
TABLE = Table("latency", "Latency", (FIGURE,), {"records": 1000}, ("A | note.",))
MACHINE = {"cores": "2", "load_at_start": "0.1"}


def test_kept_results_are_read_back_and_compared(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "results.json"
    assert read(file) == {}
    write(file, {"latency": entry(TABLE, MACHINE, "2026-01-02T03:04:05+00:00")})
    assert former(read(file), TABLE) == {label(FIGURE): 1.25}


def test_results_of_other_settings_are_not_compared() -> None:
    document = {"latency": entry(TABLE, MACHINE, "2026-01-02")}
    larger = Table("latency", "Latency", (FIGURE,), {"records": 2000})
    assert former(document, larger) == {}
    assert former({}, TABLE) == {}


def test_a_ratio_says_how_many_times_better_ours_is() -> None:
    assert faster(Spread.of([2.0]), Spread.of([10.0])) == 5.0
    assert more(Spread.of([10.0]), Spread.of([2.0])) == 5.0
    assert (times(5.0), times(1234.5)) == ("5×", "1,234×")


def test_a_goal_is_met_from_its_limit_on() -> None:
    assert at_least(4.0, 4.0) == Goal("≥ 4×", met=True)
    assert not at_least(3.99, 4.0).met


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.12345, "0.1235"),
        (1234.5, "1,234"),
        (0.99953, "0.99953"),
        (250.25, "250.2"),
        (1_000_000, "1,000,000"),
    ],
)
def test_values_show_the_digits_that_tell_something(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_figure_of_one_round_shows_no_spread() -> None:
    kept = entry(TABLE, MACHINE, "")["figures"][0]
    assert cells(kept)[3] == "1 – 2"
    assert cells(kept | {"ours": {"median": 3.0, "low": 3.0, "high": 3.0, "rounds": 1}})[3] == ""


def test_the_page_names_machine_day_goal_and_floor() -> None:
    document = {"latency": entry(TABLE, MACHINE, "2026-01-02T03:04:05+00:00")}
    text = page(document, ["load", "latency"])
    assert "## Latency" in text
    assert (
        "| one connection, p50 | ms | 1.25 | 1 – 2 | echo | 0.5 | +0.75 ms | ≤ echo + 1 ms | yes |"
        in text
    )
    assert "All of it on one machine: cores 2." in text
    assert "- Measured 2026-01-02, load at start 0.1." in text
    assert BUSY not in text


def test_the_page_warns_of_a_busy_machine() -> None:
    document = {"latency": entry(TABLE, MACHINE | {"load_at_start": "1.5"}, "2026-01-02")}
    assert BUSY in page(document, ["latency"])


def test_tables_from_several_machines_name_their_own() -> None:
    document = {
        "latency": entry(TABLE, MACHINE, "2026-01-02"),
        "load": entry(TABLE, MACHINE | {"cores": "64"}, "2026-01-03"),
    }
    text = page(document, ["load", "latency"])
    assert "one machine" not in text
    assert "Measured 2026-01-03 on cores 64, load at start 0.1." in text
