"""Writes the Grafana dashboard, deploy/grafana/dashboards/mpi.json: `make generate`.

Grafana's own export is thousands of lines that nobody reviews; here a panel is a line.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).resolve().parent.parent / "deploy/grafana/dashboards/mpi.json"

_SOURCE = {"type": "prometheus", "uid": "prometheus"}
_COLUMNS = 24
_JOB = 'job="mpi"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. ``queries`` are pairs of PromQL and legend; ``danger`` is where red begins."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    width: int = 8
    kind: str = "timeseries"
    danger: float | None = None
    stacked: bool = False


def _quantile(share: float) -> tuple[str, str]:
    buckets = (
        f'sum by (le) (rate(mpi_request_duration_seconds_bucket{{{_JOB}, route="/mpi/match"}}[5m]))'
    )
    return f"histogram_quantile({share}, {buckets})", f"p{share * 100:g}"


def _rates(metric: str, label: str) -> tuple[tuple[str, str], ...]:
    return ((f"sum by ({label}) (rate({metric}{{{_JOB}}}[5m]))", f"{{{{{label}}}}}"),)


def _stat(title: str, unit: str, query: str, danger: float | None = None) -> Panel:
    return Panel(title, unit, ((query, ""),), width=6, kind="stat", danger=danger)


ROWS: dict[str, tuple[Panel, ...]] = {
    "Is it well?": (
        _stat("Services that answer", "none", f"sum(up{{{_JOB}}})"),
        _stat("Requests", "reqps", f"sum(mpi:requests:rate5m{{{_JOB}}})"),
        _stat("Errors", "percentunit", f"max(mpi:errors:ratio_5m{{{_JOB}}})", danger=0.0144),
        _stat(
            "Slowest of a hundred matches",
            "s",
            f"max(mpi:request_duration_seconds:p99_5m{{{_JOB}}})",
            danger=0.1,
        ),
    ),
    "Requests": (
        Panel("By status", "reqps", _rates("mpi_requests_total", "status"), stacked=True),
        Panel("Time of a match", "s", tuple(map(_quantile, (0.5, 0.95, 0.99))), danger=0.1),
        Panel("By route", "reqps", _rates("mpi_request_duration_seconds_count", "route")),
        Panel(
            "Active connections",
            "none",
            (
                (f"sum by (instance) (mpi_active_connections{{{_JOB}}})", "{{instance}}"),
                (f"sum(mpi_requests_in_progress{{{_JOB}}})", "being answered"),
            ),
            danger=1000,
        ),
        Panel(
            "Rows of batches", "ops", ((f"sum(rate(mpi_batch_rows_total{{{_JOB}}}[5m]))", "rows"),)
        ),
        Panel(
            "Errors, over windows of alerts",
            "percentunit",
            tuple(
                (f"mpi:errors:ratio_{window}{{{_JOB}}}", window)
                for window in ("5m", "30m", "1h", "6h")
            ),
            danger=0.0144,
        ),
    ),
    "Decisions": (
        Panel("By status", "ops", _rates("mpi_decisions_total", "status"), stacked=True),
        Panel(
            "Share that needs a steward",
            "percentunit",
            (
                (f"mpi:reviews:ratio_1h{{{_JOB}}}", "now"),
                (f"mpi:reviews:ratio_1h{{{_JOB}}} offset 1d", "a day ago"),
            ),
            danger=0.1,
        ),
        Panel(
            "Shadow model, by both outcomes",
            "ops",
            (
                (
                    f"sum by (deciding, shadow) (rate(mpi_shadow_decisions_total{{{_JOB}}}[5m]))",
                    "{{deciding}} / {{shadow}}",
                ),
                (f"sum(rate(mpi_shadow_skipped_total{{{_JOB}}}[5m]))", "skipped"),
            ),
        ),
        Panel(
            "Trouble",
            "ops",
            (
                (f"sum(rate(mpi_conflicts_total{{{_JOB}}}[5m]))", "commits repeated"),
                (f"sum(rate(mpi_blocks_narrowed_total{{{_JOB}}}[5m]))", "blocks narrowed"),
            ),
        ),
    ),
    "Cache": (
        Panel(
            "Share answered by a tier",
            "percentunit",
            ((f"mpi:cache_hits:ratio_5m{{{_JOB}}}", "{{tier}}"),),
            width=12,
        ),
        Panel(
            "Queries answered by a tier", "ops", _rates("mpi_cache_hits_total", "tier"), width=12
        ),
        Panel(
            "Calls that a tier did not answer",
            "ops",
            _rates("mpi_cache_skipped_total", "tier"),
            width=12,
        ),
        Panel(
            "Tiers left out",
            "percentunit",
            ((f"max by (tier) (mpi_cache_tier_open{{{_JOB}}})", "{{tier}}"),),
            width=12,
        ),
    ),
    "Outside provider": (
        Panel(
            "Calls, by how they ended",
            "ops",
            _rates("mpi_provider_calls_total", "outcome"),
            stacked=True,
        ),
        Panel("Requests", "reqps", _rates("mpi_provider_attempts_total", "operation")),
        Panel(
            "Left alone",
            "percentunit",
            ((f"max by (job) (mpi_provider_open{{{_JOB}}})", "{{job}}"),),
        ),
        Panel(
            "Calls that wait",
            "none",
            ((f"sum by (job) (mpi_provider_calls_waiting{{{_JOB}}})", "{{job}}"),),
        ),
        Panel(
            "Still to be told",
            "none",
            ((f"max by (kind) (mpi_outbox_waiting{{{_JOB}}})", "{{kind}}"),),
        ),
        Panel(
            "Oldest of it",
            "s",
            ((f"max by (kind) (mpi_outbox_oldest_seconds{{{_JOB}}})", "{{kind}}"),),
        ),
        Panel(
            "Cases of hybrid, by whom they were answered",
            "ops",
            _rates("mpi_hybrid_cases_total", "by"),
            stacked=True,
        ),
        Panel(
            "Opinions of hybrid, ours and Verato's",
            "ops",
            (
                (
                    f"sum by (internal, verato) (rate(mpi_hybrid_opinions_total{{{_JOB}}}[5m]))",
                    "{{internal}} / {{verato}}",
                ),
            ),
        ),
        Panel(
            "Calls to Verato left this month",
            "none",
            ((f"min(mpi_provider_calls_left{{{_JOB}}} >= 0)", "left"),),
        ),
        Panel("Told, by how that ended", "ops", _rates("mpi_outbox_errands_total", "outcome")),
        Panel(
            "Certificate expires",
            "dateTimeAsIso",
            (
                (
                    f"min by (job) (mpi_provider_certificate_ends_seconds{{{_JOB}}}) * 1000",
                    "{{job}}",
                ),
            ),
        ),
        Panel(
            "Mean time of a call",
            "s",
            (
                (
                    f"sum by (operation) (rate(mpi_provider_call_duration_seconds_sum{{{_JOB}}}[5m])) / "
                    f"sum by (operation) (rate(mpi_provider_call_duration_seconds_count{{{_JOB}}}[5m]))",
                    "{{operation}}",
                ),
            ),
        ),
    ),
}


def dashboard() -> str:
    """The document, as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "gridPos": _place(0, y, _COLUMNS, 1)})
        x, y = 0, y + 1
        height = 4 if row[0].kind == "stat" else 8
        for panel in row:
            if x + panel.width > _COLUMNS:
                x, y = 0, y + height
            panels.append(_rendered(panel, _place(x, y, panel.width, height)))
            x += panel.width
        y += height
    for number, panel_ in enumerate(panels, start=1):
        panel_["id"] = number
    document = {
        "uid": "mpi",
        "title": "Master Patient Index",
        "description": "Written by scripts/make_dashboard.py; what to do is in docs/how-to/runbook.md.",
        "tags": ["mpi"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "panels": panels,
    }
    return json.dumps(document, indent=1) + "\n"


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _rendered(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.danger is not None:
        steps.append({"color": "red", "value": panel.danger})
    custom: dict[str, Any] = {"fillOpacity": 10, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal"}
    if panel.danger is not None:
        custom["thresholdsStyle"] = {"mode": "dashed"}
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": [
            {
                "refId": "ABCDEF"[number],
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for number, (query, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": custom if panel.kind == "timeseries" else {},
            },
            "overrides": [],
        },
    }


if __name__ == "__main__":
    DASHBOARD.write_text(dashboard(), encoding="utf-8")
    sys.stdout.write(f"{DASHBOARD.name} is written.\n")
