"""How right the index is on a set of which the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mpi.bulk.files import check_outputs, private_file
from mpi.commands.models import read_document
from mpi.commands.population import renames_of
from mpi.commands.session import AsJson, run
from mpi.commands.terminal import note, show_json, show_pairs, show_table, steps
from mpi.evaluation.labelled import ENTITY, LabelledFile
from mpi.evaluation.report import page_of
from mpi.evaluation.trial import judge
from mpi.evaluation.trial_document import facts_of


def evaluate(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="Labelled registrations, CSV or NDJSON.")
    ],
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Who is who, if not in FILE: CSV of rec_id (source|source_id), entity_id and, if told, tags (a|b)."
        ),
    ] = None,
    related: Annotated[
        Path | None, typer.Option(help="Who is related: CSV of entity_a,entity_b,relation.")
    ] = None,
    source: Annotated[str, typer.Option(help="The source of rows that name none.")] = "evaluation",
    rename: Annotated[
        str, typer.Option(help="Their columns as ours: rec_id=source_id,given=first_name")
    ] = "",
    entity: Annotated[str, typer.Option(help="The column that tells the person.")] = ENTITY,
    model: Annotated[
        Path | None, typer.Option(help="Judge this model document instead of the shipped one.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a report with plots here (HTML).")
    ] = None,
    *,
    with_records: Annotated[
        bool,
        typer.Option("--with-records", help="Show the values of the worst errors in the report."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a labelled file through an index that is thrown away, and say how right it was."""
    check_outputs(report, inputs=[path, truth, related, model])
    file = LabelledFile(path, source, renames_of(rename), entity, truth, related)
    document = None if model is None else read_document(model)
    with steps("Evaluating:") as step:
        trial = run(judge(file, step, document))
    if report is not None:
        with private_file(report) as out:
            out.write(page_of(trial, path.name, with_records=with_records))
        note(
            "The report is written."
            if not with_records
            else "The report is written; it holds patient data."
        )
    facts = facts_of(trial)
    show_json(facts) if as_json else _show(facts)


def _show(facts: dict[str, Any]) -> None:
    facts = _rounded(facts)
    about = ("model_version", "records", "rejected", "true_pairs")
    show_pairs("Set", {name: facts[name] for name in about})
    service = dict(facts["service"])
    relations, related = service.pop("false_merges_by_relation"), service.pop("related_pairs")
    cases = service.pop("hard_cases")
    show_pairs("As the service linked it", service)
    if relations:
        show_table(("wrongly merged with", "pairs of people"), relations.items())
    _show_lines(
        related, "relation pairs linked share", pairs="pairs of records", linked="wrongly linked"
    )
    _show_lines(cases, "tag records pairs found false recall", tag="hard case")
    show_pairs("Pairs, at any threshold", facts["pairs"])
    calibration = facts["calibration"]
    sure = {name: calibration[name] for name in ("error", "sure_pairs", "sure_observed")}
    show_pairs("Calibration", sure)
    _show_lines(facts["by_threshold"], "threshold linked false precision recall f1")


def _show_lines(lines: list[dict[str, Any]], columns: str, **heads: str) -> None:
    """A table of some columns, under their own names unless ``heads`` has better ones."""
    names = columns.split()
    if lines:
        show_table(
            [heads.get(name, name) for name in names],
            [[line[name] for name in names] for line in lines],
        )


def _rounded(value: Any) -> Any:
    """Shares with five digits after the point: .99996 is not 1."""
    if isinstance(value, float):
        return f"{value:.5f}".rstrip("0").rstrip(".")
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
