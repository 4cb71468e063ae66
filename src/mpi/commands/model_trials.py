"""``mpi model try`` and ``thresholds``: what another model, or other thresholds, would change on this index."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from mpi.commands.models import Model, app, document_of
from mpi.commands.session import ACTOR, AsJson, Demo, Embedded, opened, run, settings
from mpi.commands.terminal import note, show_json, show_table, steps
from mpi.evaluation.calibration import Calibrators, calibrators
from mpi.evaluation.rehearsal import MOST_RECORDS, Fate, Rehearsal, rehearse
from mpi.evaluation.thresholds import Sample, consequence, propose, sample
from mpi.evaluation.training_data import decided
from mpi.evaluation.trial import Step
from mpi.service.models import read_model, with_thresholds

_SAID = {
    Fate.STAYS: "stays where it is",
    Fate.MERGE: "joins another person",
    Fate.SPLIT: "leaves its person",
    Fate.TASK: "is a task",
}


@app.command("try")
def try_model(
    model: Model,
    records: Annotated[
        int, typer.Option(min=1, help="Decide so many records, drawn at random.")
    ] = MOST_RECORDS,
    examples: Annotated[
        int, typer.Option(min=0, help="Name so many persons of each kind, by mpi_id.")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another draw.")] = 1,
    *,
    whole: Annotated[bool, typer.Option("--all", help="Decide every record.")] = False,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Decide records of the index by another model, each as if it arrived now; nothing is changed.

    Shows which persons would merge or split and how many tasks there would be, beside the model that decides now.
    """
    chosen = settings(embedded=embedded, demo=demo)

    async def work(step: Step) -> tuple[str, str, Rehearsal]:
        async with opened(chosen) as index:
            other = read_model(await document_of(index.models, model))
            deciding = index.follower.deciding()
            most = (await index.store.statistics())["records"] if whole else records
            found = await rehearse(index.store, deciding, other, max(most, 1), seed, step)
            return deciding.version, other.version, found

    with steps("Trying:") as step:
        deciding, other, found = run(work(step))
    facts = _facts(deciding, other, found, examples)
    show_json(facts) if as_json else _show(facts)


def _facts(deciding: str, other: str, found: Rehearsal, examples: int) -> dict[str, Any]:
    return {
        "deciding": deciding,
        "model": other,
        "records": len(found.pairs),
        "index_size": found.index_size,
        "counts": {fate.value: found.count(fate) for fate in Fate},
        "differently": sum(before != after for before, after in found.pairs),
        "only_model": {
            fate.value: _group(found.only_other(fate), examples)
            for fate in Fate
            if fate is not Fate.STAYS
        },
        "only_deciding": {
            fate.value: _group(found.only_deciding(fate), examples)
            for fate in Fate
            if fate is not Fate.STAYS
        },
    }


def _group(persons: list[tuple[str, ...]], examples: int) -> dict[str, Any]:
    return {"persons": len(persons), "examples": persons[:examples]}


def _show(facts: dict[str, Any]) -> None:
    note(
        f"{facts['records']:,} of {facts['index_size']:,} records, each decided as if it arrived now; "
        f"{facts['differently']:,} differently."
    )
    counts = facts["counts"]
    rows = [
        (said, *counts[fate.value], f"{counts[fate.value][1] - counts[fate.value][0]:+,}")
        for fate, said in _SAID.items()
    ]
    show_table(("a record", facts["deciding"], facts["model"], "change"), rows)
    for kind, title in (("only_model", facts["model"]), ("only_deciding", facts["deciding"])):
        for fate, group in facts[kind].items():
            if group["persons"]:
                note(f"{fate} only by {title}: {group['persons']:,}, for example")
                show_table(("persons",), [(", ".join(each),) for each in group["examples"]])


@app.command("thresholds")
def thresholds(
    precision: Annotated[
        float,
        typer.Option(min=0.5, max=0.999999, help="So often shall an automatic link be right."),
    ] = 0.999,
    review_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Of at most this share of the records a steward is asked."),
    ] = 0.01,
    model: Annotated[
        str, typer.Option(metavar="VERSION|FILE", help="Of this model instead of the deciding one.")
    ] = "",
    records: Annotated[
        int, typer.Option(min=1, help="Look at so many records, drawn at random.")
    ] = MOST_RECORDS,
    seed: Annotated[int, typer.Option(min=0, help="Another draw.")] = 1,
    save: Annotated[
        str,
        typer.Option(
            metavar="VERSION", help="Keep the model with these thresholds under this version."
        ),
    ] = "",
    *,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Find thresholds from how right links shall be and how much stewards can do; shows what they would give.

    Links and tasks are counted by deciding each record anew, as `mpi model try` does. Probabilities are the model's
    own, or corrected by what stewards decided once there are 30 decisions of each kind.
    """
    chosen = settings(embedded=embedded, demo=demo)

    async def read(step: Step) -> tuple[bytes, Sample, Calibrators]:
        async with opened(chosen) as index:
            document = await document_of(index.models, model or index.follower.deciding().version)
            weighed = read_model(document)
            found = await sample(index.store, weighed, records, seed, step)
            labels = await decided(index.store)
            return document, found, await calibrators(index.store, weighed, labels)

    async def keep(document: bytes) -> None:
        async with opened(chosen) as index:
            await index.models.add(document, actor=ACTOR)

    with steps("Weighing:") as step:
        document, found, chances = run(read(step))
        weighed = read_model(document)
        now = consequence(found, weighed, chances, step)
        proposed = propose(found, weighed, chances, precision, review_share, step)
    if save:
        about = f"{weighed.version} with thresholds for precision {precision:g}, {review_share:.2%} to review."
        run(keep(with_thresholds(document, save, about, proposed.link, proposed.review)))
    facts = {
        "model": weighed.version,
        "records": found.records,
        "index_size": found.index_size,
        "judged_pairs": chances.links.judged,
        "saved": save or None,
        "wished_review_share": review_share,
        "now": asdict(now),
        "proposed": asdict(proposed),
    }
    show_json(facts) if as_json else _show_thresholds(facts)


_ROWS = (
    ("link from weight", "link", "{:.2f}"),
    ("review from weight", "review", "{:.2f}"),
    ("links that are right, expected", "precision", "{:.3%}"),
    ("a link at the threshold itself", "at_link", "{:.1%}"),
    ("records linked automatically", "linked_share", "{:.2%}"),
    ("records that are a task", "review_share", "{:.2%}"),
    ("tasks that are a match, expected", "true_tasks", "{:.0%}"),
)


def _show_thresholds(facts: dict[str, Any]) -> None:
    judged = facts["judged_pairs"]
    by = f"corrected by {judged:,} judged pairs" if judged else "the model's own"
    note(
        f"{facts['records']:,} of {facts['index_size']:,} records, each decided as if it arrived now; "
        f"probabilities are {by}."
    )
    rows = [
        (said, form.format(facts["now"][name]), form.format(facts["proposed"][name]))
        for said, name, form in _ROWS
    ]
    show_table(("", f"{facts['model']} now", "proposed"), rows)
    if facts["proposed"]["review_share"] > facts["wished_review_share"]:
        note(
            "No review threshold asks less: these records are as certain as links, but a veto, an unknown place or a "
            "second person as certain forbids to link them unseen."
        )
    if saved := facts["saved"]:
        note(f"Model {saved} is kept; `mpi model try {saved}` shows whom it would merge or split.")
