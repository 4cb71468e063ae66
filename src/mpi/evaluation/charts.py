"""Plots as SVG text. They carry their own titles, use the colours of the page, and need no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

WIDTH, HEIGHT = 760, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 14, 40

Points = Sequence[tuple[float, float]]


class Plot:
    """Axes from ``x`` and ``y`` (lowest < highest) on which marks are put; y grows upwards."""

    def __init__(
        self, title: str, x: tuple[float, float], y: tuple[float, float], *, height: int = HEIGHT
    ) -> None:
        self._x, self._y, self._height = x, y, height
        self._parts = [
            f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        ]

    def across(self, value: float) -> float:
        """Pixels from the left."""
        share = (value - self._x[0]) / (self._x[1] - self._x[0])
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def up(self, value: float) -> float:
        """Pixels from the top."""
        share = (value - self._y[0]) / (self._y[1] - self._y[0])
        return self._height - _BOTTOM - share * (self._height - _TOP - _BOTTOM)

    def axes(
        self,
        x_label: str,
        y_label: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        name: Callable[[float], str] = lambda value: f"{value:g}",
    ) -> None:
        """Lines of reference with their values; ``name`` words those of the y axis."""
        for tick in y_ticks:
            y = self.up(tick)
            self._add(
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self.text(_LEFT - 6, y + 4, name(tick), anchor="end")
        for tick in x_ticks:
            self.text(self.across(tick), self._height - _BOTTOM + 16, f"{tick:g}", anchor="middle")
        self.text((_LEFT + WIDTH) / 2, self._height - 6, x_label, anchor="middle")
        self._add(
            f'<text transform="translate(13 {self._height / 2:.0f}) rotate(-90)" '
            f'text-anchor="middle">{escape(y_label)}</text>'
        )

    def bar(self, left: float, right: float, height: float, kind: str, told: str) -> None:
        """A bar from the bottom; ``told`` is shown when it is pointed at."""
        if height <= self._y[0]:
            return
        x, y = self.across(left), self.up(height)
        width, tall = self.across(right) - x - 1, self.up(self._y[0]) - y
        self._add(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}">'
            f"<title>{escape(told)}</title></rect>"
        )

    def line(self, points: Points, kind: str) -> None:
        """A line through the points."""
        path = " ".join(f"{self.across(x):.1f},{self.up(y):.1f}" for x, y in points)
        self._add(f'<polyline class="{kind}" points="{path}"/>')

    def dot(self, x: float, y: float, radius: float, kind: str, told: str) -> None:
        """A dot; ``told`` is shown when it is pointed at."""
        self._add(
            f'<circle class="{kind}" cx="{self.across(x):.1f}" cy="{self.up(y):.1f}" r="{radius:.1f}">'
            f"<title>{escape(told)}</title></circle>"
        )

    def mark(self, x: float, name: str) -> None:
        """A named upright line, such as a threshold."""
        at = self.across(x)
        self._add(
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" '
            f'y2="{self._height - _BOTTOM}"/>'
        )
        self.text(at + 4, _TOP + 10, name)

    def text(self, x: float, y: float, words: str, anchor: str = "start") -> None:
        """Words at a place in pixels."""
        self._add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>')

    def svg(self) -> str:
        """The whole plot."""
        return "".join([*self._parts, "</svg>"])

    def _add(self, part: str) -> None:
        self._parts.append(part)


def bars(rows: Sequence[tuple[str, float, str]], title: str) -> str:
    """Named bars to both sides of zero, one below the other: (name, value, kind)."""
    line, names = 17, 250
    reach = max((abs(value) for _, value, _ in rows), default=1.0) or 1.0
    lowest = min((value for _, value, _ in rows), default=0.0)
    left = names + 52 if lowest < 0 else names
    zero = left + (WIDTH - left - 60) * (max(0.0, -lowest) / (reach + max(0.0, -lowest)))
    scale = (WIDTH - 60 - zero) / reach
    height = line * len(rows) + 8
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    for number, (name, value, kind) in enumerate(rows):
        y = 4 + line * number
        start, width = zero + min(0.0, value) * scale, abs(value) * scale
        beside = start + width + 4 if value >= 0 else start - 4
        anchor = "start" if value >= 0 else "end"
        parts.append(
            f'<text x="{names - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{kind}" x="{start:.1f}" y="{y + 2}" width="{max(width, 0.5):.1f}" height="{line - 5}"/>'
            f'<text x="{beside:.1f}" y="{y + 12}" text-anchor="{anchor}">{value:+.1f}</text>'
        )
    parts.append(f'<line class="mark" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}"/></svg>')
    return "".join(parts)


def waterfall(steps: Sequence[tuple[str, float]], total: str, title: str) -> str:
    """Contributions, each beginning where the one before ends, and their sum."""
    line, names = 17, 250
    ends, at = [], 0.0
    for _, value in steps:
        ends.append((at, at + value))
        at += value
    lowest = min([0.0, *(min(pair) for pair in ends)])
    highest = max([0.0, *(max(pair) for pair in ends)])
    scale = (WIDTH - names - 60) / ((highest - lowest) or 1.0)

    def across(value: float) -> float:
        return names + 4 + (value - lowest) * scale

    height = line * (len(steps) + 1) + 8
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f'<line class="mark" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="0" y2="{height}"/>',
    ]
    rows = [*zip(steps, ends, strict=True), ((total, at), (0.0, at))]
    for number, ((name, value), (start, end)) in enumerate(rows):
        y = 4 + line * number
        kind = "sum" if number == len(steps) else "for" if value >= 0 else "against"
        parts.append(
            f'<text x="{names - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{kind}" x="{across(min(start, end)):.1f}" y="{y + 2}" '
            f'width="{max(abs(end - start) * scale, 0.5):.1f}" height="{line - 5}"/>'
            f'<text x="{across(max(start, end)) + 4:.1f}" y="{y + 12}">{value:+.1f}</text>'
        )
    return "".join([*parts, "</svg>"])


def powers_of_ten(highest: float) -> list[float]:
    """Ticks of a logarithmic axis that counts up to ``highest``, as exponents; two at least, or it has no length."""
    return [float(power) for power in range(math.ceil(math.log10(max(highest, 2))) + 1)]
