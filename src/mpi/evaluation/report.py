"""The report of a trial: one HTML file that needs no network. Patients stand in it only when asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from mpi.evaluation.charts import Plot, bars, powers_of_ten, waterfall
from mpi.evaluation.trial import Trial
from mpi.evaluation.trial_document import by_threshold, facts_of
from mpi.evaluation.worst_errors import ShownError, worst_errors
from mpi.matching.comparison import TRAITS
from mpi.matching.model import RIVALS, Model

_LOWEST, _HIGHEST = -30.0, 50.0
_STEP = 2.0

_VETOED = (
    "A pair with a veto is never linked unseen: it counts as if it weighed what the review threshold of the model is, "
    "at most."
)


def page_of(trial: Trial, title: str, *, with_records: bool) -> str:
    """The report as HTML. ``with_records`` shows the compared values of the worst errors: patient data."""
    sections = (
        _section("What the service did", _cards(trial) + _relations(trial),
                 "Every row was registered in the order of the file, as by <code>mpi load</code>; pairs of records "
                 "within one person are compared with the truth."),
        *([_section("Hard cases", _cases(trial),
                    "Pairs with at least one record of the kind: those of one person, how many of them are in one, and "
                    "how many pairs of different people are as well.")] if trial.cases else []),
        _section("Threshold explorer", _explorer(trial) + _curves(trial),
                 "What linking every pair of at least some weight would give. " + _VETOED
                 + " Closure over persons is not part of it."),
        _section("Weights of all compared pairs", _distribution(trial),
                 "Counts on a logarithmic scale: false pairs far to the right and true pairs far to the left are "
                 "the ones below. " + _VETOED),
        _section("Does a probability come true?", _reliability(trial),
                 "Each dot is a tenth of the scale, as large as it has pairs. On the line, a probability of p comes "
                 "true p of the time."),
        _section("The worst errors", _errors(trial, with_records=with_records),
                 "What made a pair weigh what it weighs: the rows sum to its log2 odds."),
        _section("Weights per level", _levels(trial.model),
                 "Bits (log2 of how much likelier the level is than between strangers) for one person, for "
                 "relatives and for twins."),
        _section("By threshold", _table(trial),
                 "The same as in the explorer, at some weights and at the thresholds of the model. " + _VETOED),
    )  # fmt: skip
    template = resources.files("mpi.evaluation").joinpath("data/page.html").read_text("utf-8")
    return (
        template.replace("{{title}}", escape(title))
        .replace("{{model}}", escape(trial.model.version))
        .replace("{{sections}}", "\n".join(sections))
    )


def _section(title: str, content: str, about: str) -> str:
    told = f"<p>{about}</p>" if about else ""
    return f"<section><h2>{escape(title)}</h2>{told}{content}</section>"


def _cards(trial: Trial) -> str:
    facts = facts_of(trial)
    service, pairs, sure = facts["service"], facts["pairs"], facts["calibration"]
    figures = [
        ("precision", _share(service["precision"])),
        ("recall", _share(service["recall"])),
        ("B³", _share(service["b3"])),
        ("wrongly merged persons", f"{service['wrongly_merged']:,} of {service['persons']:,}"),
        ("asked of stewards", f"{service['reviews']:,} of {facts['records']:,} records"),
        ("recall at precision .999", _share(pairs["recall_at_0.999"])),
        ("recall at precision .9999", _share(pairs["recall_at_0.9999"])),
        ("best F1", _share(pairs["best_f1"])),
        ("true pairs compared at all", _share(pairs["completeness"])),
        ("candidates per record", f"{pairs['mean_candidates']:.2f}"),
        ("calibration error (.01–.99)", _share(sure["error"])),
        ("observed where p ≥ .99", _share(sure["sure_observed"])),
    ]
    cells = "".join(
        f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in figures
    )
    return f'<div class="cards">{cells}</div>'


def _share(value: float | None, form: str = ".4f") -> str:
    return "–" if value is None else format(value, form)


def _relations(trial: Trial) -> str:
    found = trial.merges.relations.most_common()
    merged = _rows(("wrongly merged with", "pairs of people"), found)
    heads = ("relation", "pairs of records", "wrongly linked", "share")
    related = [(r.relation, r.pairs, r.linked, _share(r.share, ".2%")) for r in trial.related]
    return (merged if found else "<p>No two people were merged.</p>") + (
        _rows(heads, related) if related else ""
    )


def _cases(trial: Trial) -> str:
    heads = ("what makes it hard", "records", "pairs", "found", "recall", "false")
    rows = [
        (c.tag, c.records, c.pairs, c.found, _share(c.recall, ".2%"), c.false) for c in trial.cases
    ]
    return _rows(heads, rows)


def _rows(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _explorer(trial: Trial) -> str:
    steps = np.arange(-10, 25.01, 0.25).tolist()
    lines = [
        [at.threshold, round(at.precision, 6), round(at.recall, 6), at.linked, at.false]
        for at in trial.pairs.scores.table(steps)
    ]
    link = trial.model.thresholds.link
    return (
        f'<div class="explorer"><input type="range" id="threshold" min="-10" max="25" step="0.25" '
        f'value="{link}" aria-label="threshold"><output id="told" for="threshold"></output></div>'
        f'<script type="application/json" id="thresholds">{json.dumps(lines)}</script>'
    )


def _curves(trial: Trial) -> str:
    limits = trial.model.thresholds
    table = trial.pairs.scores.table(np.arange(-10, 25.01, 0.5).tolist())
    lowest = min(*(at.precision for at in table), *(at.recall for at in table))
    floor = min(math.floor(lowest * 20) / 20, 0.95)  # also where every threshold finds all
    plot = Plot("precision and recall by threshold", (-10, 25), (floor, 1))
    ticks = [floor + (1 - floor) * n / 5 for n in range(6)]
    plot.axes("threshold (bits)", "share", range(-10, 26, 5), ticks, "{:.2f}".format)
    plot.mark(limits.review, "review")
    plot.mark(limits.link, "link")
    plot.line([(at.threshold, at.precision) for at in table], "line for")
    plot.line([(at.threshold, at.recall) for at in table], "line against")
    return plot.svg() + _legend(("for", "precision"), ("against", "recall"))


def _legend(*kinds: tuple[str, str]) -> str:
    return "<p class='legend'>" + " ".join(
        f'<i class="{kind}"></i>{escape(name)}' for kind, name in kinds
    ) + "</p>"  # fmt: skip


def _distribution(trial: Trial) -> str:
    edges = np.arange(_LOWEST, _HIGHEST + _STEP, _STEP)
    same, other = trial.pairs.scores.histogram(edges)
    ticks = powers_of_ten(max(same.max(), other.max()))
    plot = Plot("how many pairs have which weight", (_LOWEST, _HIGHEST), (0, ticks[-1]))
    plot.axes("weight (bits)", "pairs", range(-30, 51, 10), ticks, lambda p: f"{10 ** p:,.0f}")
    for counts, kind, shift in ((other, "against", 0.0), (same, "for", _STEP / 2)):
        for edge, count in zip(edges[:-1].tolist(), counts.tolist(), strict=True):
            height = math.log10(count) + 0.05 if count else 0.0
            told = f"{count:,} pairs from {edge:g} to {edge + _STEP:g} bits"
            plot.bar(edge + shift, edge + shift + _STEP / 2, height, kind, told)
    plot.mark(trial.model.thresholds.review, "review")
    plot.mark(trial.model.thresholds.link, "link")
    return plot.svg() + _legend(("for", "one person"), ("against", "different people"))


def _reliability(trial: Trial) -> str:
    plot = Plot("observed share of true pairs by probability", (0, 1), (0, 1), height=380)
    ticks = [n / 5 for n in range(6)]
    plot.axes("probability told", "share that is true", ticks, ticks)
    plot.line([(0, 0), (1, 1)], "line grid")
    bins = trial.pairs.calibration.bins
    for found in bins:
        told = f"{found.pairs:,} pairs: told {found.expected:.3f}, observed {found.observed:.3f}"
        plot.dot(found.expected, found.observed, 3 + math.log10(found.pairs), "dot", told)
    rows = [
        (f"{b.low:.1f}–{b.high:.1f}", f"{b.pairs:,}", f"{b.expected:.4f}", f"{b.observed:.4f}")
        for b in bins
    ]
    return plot.svg() + _rows(("probability", "pairs", "told", "observed"), rows)


def _errors(trial: Trial, *, with_records: bool) -> str:
    false, missed = worst_errors(trial)
    draw = partial(_error, with_records=with_records)
    return (
        "<h3>Different people that look like one</h3>"
        + ("".join(map(draw, false)) or "<p>There are none among the compared pairs.</p>")
        + "<h3>One person that looks like two</h3>"
        + ("".join(map(draw, missed)) or "<p>There are none among the compared pairs.</p>")
    )


def _error(error: ShownError, *, with_records: bool) -> str:
    vetoes = f" · never linked: {', '.join(error.vetoes)}" if error.vetoes else ""
    values = ""
    if with_records:
        values = _rows(("trait", "one record", "the other"), error.values)
    chart = waterfall(error.steps, "total", "what the weight is made of")
    return f"<details open><summary>{error.weight:+.1f} bits{escape(vetoes)}</summary>{chart}{values}</details>"


def _levels(model: Model) -> str:
    parts = []
    for row, trait in enumerate(TRAITS):
        lines = []
        for column, level in enumerate(trait.levels[1:], start=1):
            lines.append((level, float(model.match[row, column]), "for"))
            for rival, kind in zip(range(len(RIVALS)), ("against", "other"), strict=True):
                lines.append(("", float(model.rivals[rival, row, column]), kind))
        chart = bars(lines, f"weights of {trait.name}")
        parts.append(
            f"<details{' open' if row == 0 else ''}><summary>{escape(trait.name)}</summary>{chart}</details>"
        )
    return _legend(("for", "one person"), ("against", "relatives"), ("other", "twins")) + "".join(
        parts
    )


def _table(trial: Trial) -> str:
    limits = trial.model.thresholds
    names = {limits.link: " (link)", limits.review: " (review)"}
    rows = [
        (
            f"{at.threshold:g}{names.get(at.threshold, '')}",
            f"{at.linked:,}",
            f"{at.false:,}",
            f"{at.precision:.5f}",
            f"{at.recall:.5f}",
            f"{at.f1:.5f}",
        )
        for at in by_threshold(trial)
    ]
    return _rows(("threshold", "linked pairs", "false", "precision", "recall", "F1"), rows)
