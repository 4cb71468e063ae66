"""Asking the index: who is this, why, and what is known about a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import orjson
import typer

from mpi.api.submissions import parse_pair
from mpi.commands.session import ACTOR, AsJson, Demo, Embedded, opened, run, settings
from mpi.commands.streams import standard_input
from mpi.commands.terminal import show_json, show_pairs, show_table
from mpi.domain.registration import Warnings, read_flat
from mpi.errors import InvalidInput, MalformedBody
from mpi.matching.decision import Explanation
from mpi.service.answers import MatchAnswer

_SHOWN = ("mpi_id", "status", "grade", "confidence", "match_weight", "reason", "task_id")


def match(
    fields: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FIELD=VALUE]…",
            help="For example first_name=John dob=1980-01-01. Other users of this machine can see "
            "these; without any, one JSON object is read from standard input.",
        ),
    ] = None,
    *,
    enroll: Annotated[
        bool, typer.Option("--enroll", help="Register the patient; by default it only asks.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show the comparisons.")] = False,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Say who a patient is. Give the fields as JSON on standard input, so that nobody else sees them."""
    submission, warnings = read_flat(_assignments(fields) if fields else _standard_input())

    async def work() -> MatchAnswer:
        async with opened(settings(embedded=embedded, demo=demo), create=enroll) as index:
            return await index.index.resolve(
                submission, enroll=enroll, explain=explain, actor=ACTOR, warnings=warnings
            )

    found = run(work())
    if as_json:
        show_json(found)
        return
    values = {name: getattr(found, name) for name in _SHOWN}
    show_pairs("Answer", {name: value for name, value in values.items() if value is not None})
    if found.candidates:
        show_table(
            ("candidate", "weight", "grade"),
            [(c.mpi_id, c.match_weight, c.grade) for c in found.candidates],
        )
    if found.explanation is not None:
        _show_explanation(found.explanation)
    _show_warnings(found.warnings)


def explain(*, embedded: Embedded = False, demo: Demo = False, as_json: AsJson = False) -> None:
    """Show why two records weigh what they weigh.

    Reads {"left": …, "right": …} from standard input; each side is {"source": …, "source_id": …}
    or {"patient_data": {…}}.
    """
    left, right, warnings = parse_pair(standard_input())

    async def work() -> tuple[Explanation, Warnings]:
        async with opened(settings(embedded=embedded, demo=demo)) as index:
            return await index.index.explain(left, right)

    found, own = run(work())
    if as_json:
        show_json(asdict(found) | {"warnings": warnings + own})
        return
    _show_explanation(found)
    _show_warnings(warnings + own)


def person(
    mpi_id: Annotated[str, typer.Argument(help="The person's id; a retired one is followed.")],
    *,
    history: Annotated[bool, typer.Option("--history", help="Show the events instead.")] = False,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show a person: golden record, records, or with --history what happened to it."""

    async def work() -> Any:
        async with opened(settings(embedded=embedded, demo=demo)) as index:
            asked = index.index
            return await (asked.history(mpi_id) if history else asked.person(mpi_id))

    found = run(work())
    if as_json:
        show_json(found)
    elif history:
        lines = [(e.at, e.kind, e.actor, e.event_id, e.reason) for e in found]
        show_table(("when", "what", "who", "event", "why"), lines)
    else:
        show_pairs("Person", {"mpi_id": found.mpi_id, "status": found.status})
        show_pairs("Golden record", _plain(found.golden_record))
        rows = [(r.source, r.source_id, r.status, r.received_at) for r in found.records]
        show_table(("source", "source id", "status", "received"), rows)


def stats(*, embedded: Embedded = False, demo: Demo = False, as_json: AsJson = False) -> None:
    """Count records, persons, open tasks and events."""

    async def work() -> dict[str, int]:
        async with opened(settings(embedded=embedded, demo=demo)) as index:
            return await index.index.statistics()

    found = run(work())
    show_json(found) if as_json else show_pairs("Index", found)


def _show_explanation(found: Explanation) -> None:
    rows: list[Sequence[Any]] = [(r.kind, r.trait, r.level, r.weight) for r in found.rows]
    rows.append(("sum", "", found.grade, found.match_weight))
    show_table(("kind", "trait", "level", "weight"), rows)


def _show_warnings(warnings: Warnings) -> None:
    if warnings:
        show_table(("field", "warning"), [(w.field, w.code) for w in warnings])


def _plain(golden: Any) -> dict[str, Any]:
    document = orjson.loads(orjson.dumps(golden))
    return {name: _flat(value) for name, value in document.items() if value not in (None, [], "")}


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values() if part is not None)
    return [_flat(part) for part in value] if isinstance(value, list) else value


def _assignments(fields: Sequence[str]) -> dict[str, Any]:
    pairs = [field.partition("=") for field in fields]
    if not all(sign for _, sign, _ in pairs):
        raise InvalidInput("fields are given as FIELD=VALUE, for example dob=1980-01-01")
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:
        raise InvalidInput("fields must be text in UTF-8") from None
    return {name: value for name, _, value in pairs}


def _standard_input() -> dict[str, Any]:
    try:
        document = orjson.loads(standard_input())
    except orjson.JSONDecodeError:
        raise MalformedBody("standard input holds no valid JSON") from None
    if not isinstance(document, dict):
        raise InvalidInput("standard input must hold one JSON object")
    return document
