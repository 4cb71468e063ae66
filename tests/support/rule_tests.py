"""Runs the unit tests of alert rules, which are files in the form of ``promtool test rules``."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import promql_parser as ast
import yaml

from tests.support.promql import Series, Vector, evaluate, labels_of, nameless

Rule = dict[str, Any]
Alert = tuple[dict[str, str], dict[str, str]]
"""The labels and the annotations of an alert that fires."""

_RUN = re.compile(r"(-?[\d.]+)([+-][\d.]+)?x(\d+)")


def failures(tests: Path) -> list[str]:
    """What differs from what ``tests`` expects; nothing when all is as it should be."""
    document = yaml.safe_load(tests.read_text("utf-8"))
    rules = [rule for name in document["rule_files"] for rule in rules_of(tests.parent / name)]
    every = _seconds(document["evaluation_interval"])
    return [
        difference for test in document["tests"] for difference in _differences(test, rules, every)
    ]


def rules_of(path: Path) -> list[Rule]:
    """Every rule of a file, in order."""
    groups = yaml.safe_load(path.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _differences(test: dict[str, Any], rules: list[Rule], every: float) -> list[str]:
    series, cases = _series(test), test["alert_rule_test"]
    rules = _needed(rules, {case["alertname"] for case in cases})
    found = []
    since: dict[tuple[str, Any], float] = {}
    last = max(_seconds(case["eval_time"]) for case in cases)
    for step in range(int(last / every) + 1):
        firing = _evaluated(rules, series, step * every, since)
        for case in cases:
            if _seconds(case["eval_time"]) == step * every:
                name, actual = case["alertname"], firing.get(case["alertname"], [])
                if _sorted(actual) != _sorted(_expected(case)):
                    found.append(f"{test['name']}: {name} at {case['eval_time']}: {actual}")
    return found


def _needed(rules: list[Rule], alerts: set[str]) -> list[Rule]:
    """The rules of ``alerts`` and those that record what they read; the others would only take time."""
    read = " ".join(rule["expr"] for rule in rules if rule.get("alert") in alerts)
    return [
        rule for rule in rules if rule.get("alert") in alerts or rule.get("record", "?") in read
    ]


def _expected(case: dict[str, Any]) -> list[Alert]:
    return [(alert["exp_labels"], alert["exp_annotations"]) for alert in case.get("exp_alerts", [])]


def _sorted(alerts: list[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: sorted(alert[0].items()))


def _evaluated(
    rules: list[Rule], series: Series, at: float, since: dict[tuple[str, Any], float]
) -> dict[str, list[Alert]]:
    """Evaluate every rule once; ``since`` keeps when the condition of an alert became true."""
    firing: dict[str, list[Alert]] = {}
    for rule in rules:
        found = evaluate(rule["expr"], series, at)
        assert isinstance(found, dict)
        if "record" in rule:
            for labels, value in found.items():
                name = labels_of(rule["record"], dict(nameless(labels)))
                series.setdefault(name, []).append((at, value))
        else:
            firing[rule["alert"]] = _fired(rule, found, at, since)
    return firing


def _fired(
    rule: Rule, found: Vector, at: float, since: dict[tuple[str, Any], float]
) -> list[Alert]:
    name, patience = rule["alert"], _seconds(rule.get("for", "0s"))
    holding = {(name, labels) for labels in found}
    for key in [key for key in since if key[0] == name and key not in holding]:
        del since[key]
    return [
        (dict(nameless(labels)) | rule["labels"], rule["annotations"])
        for labels in found
        if at - since.setdefault((name, labels), at) >= patience
    ]


def _series(test: dict[str, Any]) -> Series:
    step = _seconds(test["interval"])
    series: Series = {}
    for given in test["input_series"]:
        selector: Any = ast.parse(given["series"])
        labels = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        values = _values(given["values"])
        series[labels_of(selector.name, labels)] = [
            (number * step, value) for number, value in enumerate(values) if not math.isnan(value)
        ]
    return series


def _values(notation: str) -> list[float]:
    """``1+2x3`` is 1 3 5 7, ``5x2`` is 5 5 5, ``_`` is no sample."""
    values: list[float] = []
    for part in notation.split():
        if run := _RUN.fullmatch(part):
            start, step = float(run[1]), float(run[2] or 0)
            values += [start + step * number for number in range(int(run[3]) + 1)]
        else:
            values.append(math.nan if part == "_" else float(part))
    return values


def _seconds(duration: str) -> float:
    return float(ast.parse_duration(duration).total_seconds())
