"""Alerts fire when they should, name only metrics that exist, and lead to a page that says what to do."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from mpi.telemetry import Metrics
from tests.support.rule_tests import failures, rules_of

_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@pytest.fixture
def prometheus(checkout: Path) -> Path:
    return checkout / "deploy/prometheus"


def _exported() -> set[str]:
    return {
        metric.name + suffix
        for metric in Metrics().registry.collect()
        for suffix in _SUFFIXES[metric.type]
    }


def _selected(expression: str) -> set[str]:
    """The series that an expression reads."""
    names: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            names.add(node.name)

    promql_parser.walk(promql_parser.parse(expression), pre_visit=visit)
    return names


def _shown(checkout: Path) -> Iterator[str]:
    for page in (checkout / "deploy/grafana/dashboards").glob("*.json"):
        for panel in json.loads(page.read_text("utf-8"))["panels"]:
            yield from (target["expr"] for target in panel.get("targets", []))


def _refused_by_promtool(tests: Path) -> list[str]:
    done = subprocess.run(
        ["promtool", "test", "rules", tests], capture_output=True, text=True, check=False
    )
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


# The first evaluation is ours and always there; the other is Prometheus' own, where it is installed, as in CI.
JUDGES = [failures, *([_refused_by_promtool] if shutil.which("promtool") else [])]


@pytest.mark.parametrize("judge", JUDGES)
def test_alerts_fire_when_they_should_and_only_then(
    prometheus: Path, judge: Callable[[Path], list[str]]
) -> None:
    assert judge(prometheus / "alerts_test.yml") == []


@pytest.mark.parametrize("judge", JUDGES)
def test_a_rule_that_means_something_else_fails_its_tests(
    prometheus: Path, tmp_path: Path, judge: Callable[[Path], list[str]]
) -> None:
    shutil.copytree(prometheus, tmp_path, dirs_exist_ok=True)
    alerts = tmp_path / "alerts.yml"
    text = alerts.read_text("utf-8")
    for right, wrong in (
        ("14.4 * 0.001", "144 * 0.001"),
        ("== 0\n        for: 1m", "== 0\n        for: 9m"),
    ):
        assert right in text
        alerts.write_text(text.replace(right, wrong), encoding="utf-8")
        assert judge(tmp_path / "alerts_test.yml"), f"{wrong} is as good as {right}"


def test_every_alert_is_tested_to_fire_and_to_be_silent(prometheus: Path) -> None:
    tests = yaml.safe_load((prometheus / "alerts_test.yml").read_text("utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if "exp_alerts" in case}
    silent = {case["alertname"] for case in cases if "exp_alerts" not in case}
    names = {rule["alert"] for rule in rules_of(prometheus / "alerts.yml")}
    assert fires == silent == names


def test_rules_and_dashboards_name_only_what_is_exported(checkout: Path, prometheus: Path) -> None:
    recorded = rules_of(prometheus / "recording.yml")
    known = _exported() | {"up"} | {rule["record"] for rule in recorded}
    expressions = [rule["expr"] for rule in [*recorded, *rules_of(prometheus / "alerts.yml")]]
    shown = list(_shown(checkout))
    assert shown
    for expression in [*expressions, *shown]:
        assert _selected(expression), expression
        assert _selected(expression) <= known, expression


def test_every_exported_metric_is_looked_at(checkout: Path, prometheus: Path) -> None:
    rules = [*rules_of(prometheus / "recording.yml"), *rules_of(prometheus / "alerts.yml")]
    read = {
        name
        for text in [r["expr"] for r in rules] + list(_shown(checkout))
        for name in _selected(text)
    }
    for metric in Metrics().registry.collect():
        assert any(name.startswith(metric.name) for name in read), metric.name


def test_every_alert_leads_to_its_part_of_the_runbook(checkout: Path, prometheus: Path) -> None:
    anchors = {
        heading.lower()
        for heading in re.findall(
            r"^## (\w+)$", (checkout / "docs/how-to/runbook.md").read_text("utf-8"), re.MULTILINE
        )
    }
    for rule in rules_of(prometheus / "alerts.yml"):
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "docs/how-to/runbook.md"
        assert anchor == rule["alert"].lower()
        assert anchor in anchors
