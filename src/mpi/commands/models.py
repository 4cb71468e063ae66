"""``mpi model``: the models of an index, which of them decides, and what another one would do."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from mpi.commands.session import ACTOR, AsJson, Demo, Embedded, opened, run, settings
from mpi.commands.terminal import note, show_json, show_table, show_text
from mpi.errors import ConfigurationError
from mpi.evaluation.differences import CLASSES, Difference, differences, levels_of
from mpi.ports import Activation
from mpi.service.model_follower import PAUSE
from mpi.service.models import Models, read_model
from mpi.settings import Settings

app = typer.Typer(
    help="Keep, compare, try, activate and take back matching models.", no_args_is_help=True
)

_MOST_NAMES = 20
"""Whose frequencies differ most: thousands of them may."""

Version = Annotated[str, typer.Argument(help="A version, as `mpi model list` shows it.")]
Model = Annotated[
    str, typer.Argument(metavar="VERSION|FILE", help="A version, or the path of a document.")
]
Reason = Annotated[str, typer.Option(help="Why: it is kept with the change.")]
Actor = Annotated[str, typer.Option("--by", help="Who answers for it.")]


def read_document(path: Path) -> bytes:
    """A model document from a file. Raises ``ConfigurationError``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the model cannot be read ({error.strerror})") from None


async def document_of(models: Models, named: str) -> bytes:
    """The document of a version, or the one in a file: what holds a slash or ends in .json is a path."""
    if "/" in named or named.endswith(".json"):
        return read_document(Path(named))
    return await models.document(named)


@app.command("list")
def list_models(
    *,
    history: Annotated[
        bool, typer.Option("--history", help="Show every activation instead.")
    ] = False,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show the models of the index, or with --history which of them decided when, and why."""

    async def work() -> tuple[Any, ...]:
        async with opened(settings(embedded=embedded, demo=demo), deciding=False) as index:
            return await (index.models.history() if history else index.models.list())

    found = run(work())
    if as_json:
        show_json(found)
    elif history:
        rows = [(a.number, a.at, a.role.value, a.version, a.actor, a.reason) for a in found]
        show_table(("number", "when", "role", "version", "who", "why"), rows)
    else:
        lines = [
            (
                m.version,
                "decides" if m.decides else "shadow" if m.shadow else "",
                "shipped" if m.shipped else "own",
                m.added_at,
                m.added_by,
            )
            for m in found
        ]
        show_table(("version", "now", "origin", "added", "by"), lines)


@app.command("show")
def show(
    model: Model,
    *,
    document: Annotated[
        bool, typer.Option("--document", help="Print the document itself.")
    ] = False,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show a model: the weight of every level in bits, and the thresholds."""
    content = run(_documents(settings(embedded=embedded, demo=demo), model))[0]
    found = read_model(content)
    if document:
        show_text(content.decode())
        return
    limits, levels = asdict(found.thresholds), levels_of(found)
    if as_json:
        show_json({"version": found.version, "thresholds": limits, "levels": levels})
        return
    note(f"{found.version}: {orjson.loads(content).get('about', '')}")
    show_table(("threshold", "weight"), limits.items())
    show_table(
        ("trait", "level", *CLASSES, "u"),
        [(row.trait, row.level, *row.weights, row.chance) for row in levels],
    )


@app.command("diff")
def diff(
    before: Model,
    after: Model,
    *,
    least: Annotated[
        float, typer.Option(min=0, help="Leave out what differs by less: bits of a weight.")
    ] = 0.05,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show where two models differ: thresholds, priors, weights and chances of levels, frequencies of names."""
    chosen = settings(embedded=embedded, demo=demo)
    one, other = (read_model(each) for each in run(_documents(chosen, before, after)))
    found = differences(one, other, least)
    if as_json:
        show_json(found)
        return
    if not found:
        note(f"Nothing differs by {least:g} or more.")
        return
    names = [each for each in found if each.kind == "frequency"]
    left_out = set(sorted(names, key=lambda each: -abs(each.after - each.before))[_MOST_NAMES:])
    show_table(
        ("of", "what", "level", "class", one.version, other.version, "by"),
        [_line(each) for each in found if each not in left_out],
    )
    if left_out:
        note(f"{len(left_out):,} more frequencies of names differ, by less; --json shows all.")
    note("Vetoes are rules of the service, the same for every model.")


def _line(found: Difference) -> tuple[str, ...]:
    numbers = (f"{found.before:.6g}", f"{found.after:.6g}", f"{found.after - found.before:+.4g}")
    return (found.kind, found.name, found.level, found.of, *numbers)


@app.command("add")
def add(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A model document.")],
    *,
    actor: Actor = ACTOR,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Let the index keep a model, for ever under its version. It decides only once it is activated."""
    content = read_document(path)

    async def work() -> str:
        async with opened(settings(embedded=embedded, demo=demo), deciding=False) as index:
            return (await index.models.add(content, actor=actor)).version

    version = run(work())
    if as_json:
        show_json({"version": version})
    else:
        note(f"Model {version} is kept; `mpi model try {version}` says what it would change.")


@app.command("activate")
def activate(
    version: Version,
    *,
    reason: Reason,
    actor: Actor = ACTOR,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Let a model decide, in every running process within a second. What was decided before stays."""

    async def work() -> Activation:
        async with opened(settings(embedded=embedded, demo=demo), deciding=False) as index:
            return await index.models.activate(version, actor=actor, reason=reason)

    _tell(run(work()), as_json=as_json)


@app.command("rollback")
def rollback(
    *,
    reason: Reason,
    actor: Actor = ACTOR,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Let the model decide again that did before the last activation."""

    async def work() -> Activation:
        async with opened(settings(embedded=embedded, demo=demo), deciding=False) as index:
            return await index.models.rollback(actor=actor, reason=reason)

    _tell(run(work()), as_json=as_json)


@app.command("shadow")
def shadow(
    version: Annotated[
        str | None, typer.Argument(help="A version, as `mpi model list` shows it.")
    ] = None,
    *,
    reason: Reason,
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    actor: Actor = ACTOR,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Let a second model repeat the decisions of running services, in the background; it decides nothing.

    mpi_shadow_decisions_total counts how the two agree.
    """
    if (version is None) is not off:
        raise ConfigurationError("give a version, or --off and none")

    async def work() -> Activation:
        async with opened(settings(embedded=embedded, demo=demo), deciding=False) as index:
            return await index.models.shadow(version, actor=actor, reason=reason)

    done = run(work())
    if as_json:
        show_json(done)
    else:
        note(f"Model {version} shadows." if version else "No model shadows any more.")


def _tell(done: Activation, *, as_json: bool) -> None:
    if as_json:
        show_json(done)
    else:
        note(f"Model {done.version} decides; every process takes it up within {2 * PAUSE:g} s.")


async def _documents(chosen: Settings, *named: str) -> list[bytes]:
    async with opened(chosen, deciding=False) as index:
        return [await document_of(index.models, each) for each in named]
