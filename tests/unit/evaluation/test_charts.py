import re
from xml.etree import ElementTree

import pytest

from mpi.evaluation.charts import Plot, bars, powers_of_ten, waterfall


def numbers(name: str, svg: str) -> list[float]:
    return [float(value) for value in re.findall(rf' {name}="([\d.-]+)"', svg)]


def test_a_plot_puts_larger_values_further_right_and_higher() -> None:
    plot = Plot("a plot", (-10, 10), (0, 1))
    assert plot.across(-10) < plot.across(0) < plot.across(10)
    assert plot.up(0) > plot.up(0.5) > plot.up(1)


def test_a_bar_without_height_is_not_drawn() -> None:
    plot = Plot("a plot", (0, 10), (0, 1))
    plot.bar(0, 1, 0, "for", "nothing")
    plot.bar(1, 2, 0.5, "for", "half")
    svg = plot.svg()
    assert svg.count("<rect") == 1
    assert "half" in svg


def test_words_cannot_become_markup() -> None:
    plot = Plot('a "plot" <b>', (0, 1), (0, 1))
    plot.mark(0.5, "<script>")
    for svg in (plot.svg(), bars([("<b>", 1.0, "for")], "<i>"), waterfall([("<b>", 1)], "&", "<")):
        assert "<script>" not in svg
        assert "<b>" not in svg
        ElementTree.fromstring(svg)


def test_the_bars_of_a_waterfall_begin_where_the_last_one_ended() -> None:
    svg = waterfall([("prior", -16.0), ("name", 10.0), ("date", 14.0)], "total", "why")
    starts, widths = numbers("x", svg), numbers("width", svg)
    rects = [float(x) for x in re.findall(r'<rect[^>]* x="([\d.-]+)"', svg)]
    assert len(widths) == 4
    assert rects[1] == pytest.approx(rects[0], abs=0.2)  # up from the lowest point
    assert rects[2] == pytest.approx(rects[1] + widths[1], abs=0.2)
    assert starts
    assert "+8.0" in svg


def test_bars_of_both_signs_meet_at_zero() -> None:
    svg = bars([("up", 4.0, "for"), ("down", -2.0, "against")], "levels")
    up, down = (float(x) for x in re.findall(r'<rect[^>]* x="([\d.-]+)"', svg))
    assert down + numbers("width", svg)[1] == pytest.approx(up, abs=0.2)
    assert numbers("width", svg)[0] == pytest.approx(2 * numbers("width", svg)[1], abs=0.2)


@pytest.mark.parametrize(("highest", "ticks"), [(0, [0, 1]), (1, [0, 1]), (900, [0, 1, 2, 3])])
def test_a_logarithmic_axis_ends_above_the_highest_count(
    highest: float, ticks: list[float]
) -> None:
    assert powers_of_ten(highest) == ticks
