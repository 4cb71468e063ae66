"""As much of PromQL as our rules use, evaluated over given series.

Prometheus itself comes from no Python registry; its parser does. What is not implemented raises, so that a rule
can not pass by being misunderstood; the same files run under ``promtool`` where that is installed.
"""

from __future__ import annotations

import math
import operator
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import promql_parser as ast

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Series = dict[Labels, list[tuple[float, float]]]
"""Samples (seconds, value) in order of time, by their labels, of which ``__name__`` is one."""

_LOOKBACK = 300.0
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else math.nan if a == 0 or math.isnan(a) else math.inf,
}


def labels_of(name: str, pairs: Mapping[str, str]) -> Labels:
    """The labels of a series called ``name``."""
    return frozenset({"__name__": name, **pairs}.items())


def nameless(labels: Labels) -> Labels:
    """Labels without the name, as of a result that was computed."""
    return frozenset(pair for pair in labels if pair[0] != "__name__")


def evaluate(expression: str, series: Series, at: float) -> Vector | float:
    """What ``expression`` is at the time ``at``, in seconds."""
    return _Evaluation(series, at).of(_parsed(expression))


_parsed = cache(ast.parse)


class _Evaluation:
    def __init__(self, series: Series, at: float) -> None:
        self._series = series
        self._at = at

    def of(self, node: Any) -> Vector | float:
        match node:
            case ast.NumberLiteral():
                return node.val
            case ast.ParenExpr():
                return self.of(node.expr)
            case ast.VectorSelector():
                return self._instant(node)
            case ast.AggregateExpr():
                return self._aggregated(node)
            case ast.Call():
                return self._called(node)
            case ast.BinaryExpr():
                return self._combined(node)
        raise NotImplementedError(type(node).__name__)

    def _vector(self, node: Any) -> Vector:
        found = self.of(node)
        assert isinstance(found, dict), "a vector is needed here"
        return found

    def _chosen(self, node: Any) -> Iterable[tuple[Labels, list[tuple[float, float]]]]:
        wanted = list(node.matchers.matchers)
        for labels, samples in self._series.items():
            pairs = dict(labels)
            if node.name in {None, pairs["__name__"]} and all(_matches(m, pairs) for m in wanted):
                yield labels, samples

    def _instant(self, node: Any) -> Vector:
        at = self._at - (node.offset.total_seconds() if node.offset else 0)
        found: Vector = {}
        for labels, samples in self._chosen(node):
            last = bisect_right(samples, (at, math.inf)) - 1
            if last >= 0 and samples[last][0] > at - _LOOKBACK:
                found[labels] = samples[last][1]
        return found

    def _aggregated(self, node: Any) -> Vector:
        aggregates: dict[str, Callable[[list[float]], float]] = {"sum": sum, "max": max}
        aggregate = aggregates.get(str(node.op))
        if aggregate is None or node.modifier.type != ast.AggModifierType.By:
            raise NotImplementedError(node.prettify())
        groups: defaultdict[Labels, list[float]] = defaultdict(list)
        for labels, value in self._vector(node.expr).items():
            groups[_kept(labels, node.modifier.labels)].append(value)
        return {labels: aggregate(values) for labels, values in groups.items()}

    def _called(self, node: Any) -> Vector:
        match node.func.name, list(node.args):
            case ("rate" | "increase") as name, [ranged]:
                return self._risen(ranged, per_second=name == "rate")
            case "absent", [selector]:
                equal = (m for m in selector.matchers.matchers if m.op == ast.MatchOp.Equal)
                absent = frozenset((m.name, m.value) for m in equal)
                return {} if self._vector(selector) else {absent: 1.0}
            case "histogram_quantile", [share, buckets]:
                return _quantiles(share.val, self._vector(buckets))
        raise NotImplementedError(node.func.name)

    def _risen(self, ranged: Any, *, per_second: bool) -> Vector:
        selector, length = ranged.vector_selector, ranged.range.total_seconds()
        end = self._at - (selector.offset.total_seconds() if selector.offset else 0)
        found: Vector = {}
        for labels, samples in self._chosen(selector):
            first = bisect_left(samples, (end - length, -math.inf))
            inside = samples[first : bisect_right(samples, (end, math.inf))]
            if len(inside) > 1:
                increase = _extrapolated(inside, end - length, end)
                found[nameless(labels)] = increase / length if per_second else increase
        return found

    def _combined(self, node: Any) -> Vector | float:
        symbol, left, right = str(node.op), self.of(node.lhs), self.of(node.rhs)
        if symbol in {"and", "unless"}:
            assert isinstance(left, dict)
            assert isinstance(right, dict)
            partners = {_signature(labels, node.modifier) for labels in right}
            with_partner = symbol == "and"
            return {
                k: v
                for k, v in left.items()
                if (_signature(k, node.modifier) in partners) is with_partner
            }
        if node.modifier is not None:
            raise NotImplementedError(node.prettify())
        return _per_pair(symbol, left, right)


def _per_pair(symbol: str, left: Vector | float, right: Vector | float) -> Vector | float:
    if isinstance(left, float) and isinstance(right, float):
        return _ARITHMETIC[symbol](left, right)
    if isinstance(left, float):
        assert isinstance(right, dict)
        pairs = [(labels, left, value) for labels, value in right.items()]
    elif isinstance(right, float):
        pairs = [(labels, value, right) for labels, value in left.items()]
    else:
        others = {nameless(labels): value for labels, value in right.items()}
        partnered = [(k, v) for k, v in left.items() if nameless(k) in others]
        pairs = [(labels, value, others[nameless(labels)]) for labels, value in partnered]
    if compare := _COMPARISONS.get(symbol):
        return {labels: a for labels, a, b in pairs if compare(a, b)}
    return {nameless(labels): _ARITHMETIC[symbol](a, b) for labels, a, b in pairs}


def _matches(matcher: ast.Matcher, pairs: Mapping[str, str]) -> bool:
    value = pairs.get(matcher.name, "")
    plain = value == matcher.value
    for kind, fits in (
        (ast.MatchOp.Equal, plain),
        (ast.MatchOp.NotEqual, not plain),
        (ast.MatchOp.Re, re.fullmatch(matcher.value, value) is not None),
        (ast.MatchOp.NotRe, re.fullmatch(matcher.value, value) is None),
    ):
        if matcher.op == kind:
            return fits
    raise NotImplementedError(str(matcher))


def _kept(labels: Labels, names: Iterable[str]) -> Labels:
    kept = set(names)
    return frozenset(pair for pair in labels if pair[0] in kept)


def _signature(labels: Labels, modifier: Any) -> Labels:
    if modifier is None or modifier.matching is None:
        return nameless(labels)
    if modifier.matching.type != ast.LabelModifierType.Include:
        raise NotImplementedError("ignoring")
    return _kept(labels, modifier.matching.labels)


def _extrapolated(samples: list[tuple[float, float]], start: float, end: float) -> float:
    """The increase of a counter, stretched to the ends of the range as Prometheus does it."""
    increase = samples[-1][1] - samples[0][1]
    for (_, before), (_, after) in pairwise(samples):
        increase += before if after < before else 0  # the counter began anew
    sampled = samples[-1][0] - samples[0][0]
    average = sampled / (len(samples) - 1)
    head, tail = samples[0][0] - start, end - samples[-1][0]
    if increase > 0 and samples[0][1] >= 0:
        head = min(head, sampled * samples[0][1] / increase)  # a counter was never below nothing
    reach = sum(gap if gap < average * 1.1 else average / 2 for gap in (head, tail))
    return increase * (sampled + reach) / sampled


def _quantiles(share: float, buckets: Vector) -> Vector:
    grouped: defaultdict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, count in buckets.items():
        bound = float(dict(labels)["le"].replace("Inf", "inf"))
        grouped[frozenset(p for p in nameless(labels) if p[0] != "le")].append((bound, count))
    return {labels: _quantile(share, sorted(counts)) for labels, counts in grouped.items()}


def _quantile(share: float, buckets: list[tuple[float, float]]) -> float:
    rank = share * buckets[-1][1]
    if not buckets[-1][1]:
        return math.nan
    below, under = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound):
                return below
            return below + (bound - below) * (rank - under) / (count - under)
        below, under = bound, count
    raise AssertionError("the last bucket holds everything")
