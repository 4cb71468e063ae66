"""A model of one's own, learned from one's own index. It decides only once it is activated."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mpi.bulk.files import check_outputs, private_file
from mpi.commands.session import ACTOR, AsJson, Demo, Embedded, opened, run, settings
from mpi.commands.terminal import note, show_json, show_pairs, steps
from mpi.errors import ConfigurationError, InvalidInput
from mpi.evaluation.boundary import TEACHES, questions
from mpi.evaluation.training_data import (
    Labels,
    Records,
    decided,
    judged_pairs,
    labelled_pairs,
    records_named,
    records_of,
    unlabelled_pairs,
)
from mpi.evaluation.trial import Step
from mpi.matching.document import document_of
from mpi.matching.expectation import TooFewPairs, learn
from mpi.matching.model import Model, load_anchors
from mpi.matching.training import LABEL_RIDGE, TooFewLabels, train
from mpi.service.models import check_model_version
from mpi.settings import Settings, data_directory

MOST_RECORDS = 200_000
_STEPS = 200


class Material(NamedTuple):
    """What is learned from: records and labels of an index of that size, and the model that decides in it."""

    records: Records
    labels: Labels
    in_use: Model
    index_size: int


Result = tuple[Model, str, dict[str, Any]]
"""The model, where it comes from, and what was found on the way."""


def train_model(
    out: Annotated[
        Path | None, typer.Option(help="The model goes here; by default into the data directory.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Learn from this table: source_a,source_id_a,source_b,source_id_b,same."),
    ] = None,
    records: Annotated[
        int,
        typer.Option(
            min=2,
            help="Look at so many records at most, drawn at random. Judged ones are read whatever it says.",
        ),
    ] = MOST_RECORDS,
    seed: Annotated[
        int, typer.Option(min=0, help="Another draw, other random pairs and starts.")
    ] = 1,
    version: Annotated[str, typer.Option(help="The version that answers will name.")] = "",
    *,
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Learn from what stewards decided.")
    ] = False,
    ask: Annotated[
        int, typer.Option(min=0, help="Learn nothing yet, but put so many questions to stewards.")
    ] = 0,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Learn a model from the records of the index, or from judged pairs of them. It is written, not activated.

    Without labels it learns how often traits agree by chance and within one person. With --pairs or --decisions it
    learns from what people said, starting from the model in use. With --ask it opens tasks about the pairs that teach
    most; decided, they are labels for --decisions.
    """
    if ask:
        useless = {"--pairs": pairs, "--decisions": decisions, "--out": out, "--version": version}
        _check_only_asks(*[name for name, given in useless.items() if given])
        _ask(ask, records, seed, settings(embedded=embedded, demo=demo), as_json=as_json)
        return
    version = version or _new_version()
    check_model_version(version)  # it names the file too, and learning takes minutes
    path = out or data_directory() / "models" / f"{version}.json"
    _check_free(path, chosen_by_us=out is None)
    chosen = settings(embedded=embedded, demo=demo)
    check_outputs(out, inputs=[pairs], index=chosen.sqlite_path)
    labels = judged_pairs(pairs) if pairs is not None else {}
    with steps("Training:") as step:
        if pairs is not None or decisions:
            material = run(_judged(chosen, labels, step, decisions=decisions))
            found = material.records
            model, about, facts = _from_labels(material, step)
        else:
            found = run(_drawn(chosen, records, seed, step))
            model, about, facts = _from_records(found, seed, step)
    _check_free(path, chosen_by_us=out is None)
    with private_file(path) as file:
        file.write(document_of(replace(model, version=version), about).decode())
    told = {"model": path, "version": version, "records": len(found), **facts}
    if as_json:
        show_json(told)
    else:
        show_pairs("Learned", told)
        note(f"Nothing has changed yet; `mpi model add {path}` lets the index keep it.")


def _new_version() -> str:
    """Named after the moment; two trainings may end up in the same second."""
    return f"own-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _check_only_asks(*given: str) -> None:
    if given:
        raise ConfigurationError(f"--ask learns and writes nothing; leave out {', '.join(given)}")


def _check_free(path: Path, *, chosen_by_us: bool) -> None:
    """A file that was named may be replaced; where we choose the name, another model may have it."""
    if chosen_by_us and path.exists():
        raise ConfigurationError(
            "a model of this version was written before; name another --version, or a file with --out"
        )


def _ask(count: int, records: int, seed: int, chosen: Settings, *, as_json: bool) -> None:
    async def work(step: Step) -> tuple[str, ...]:
        async with opened(chosen) as index:
            model = index.follower.deciding()
            asked = await questions(index.store, model, count, records, seed, step)
            return await index.stewardship.ask(asked, actor=ACTOR, reason=TEACHES)

    with steps("Looking for doubt:") as step:
        opened_tasks = run(work(step))
    if as_json:
        show_json({"tasks": opened_tasks})
    else:
        note(
            f"{len(opened_tasks):,} tasks are open; once they are decided, `mpi train --decisions` learns from them."
        )


async def _judged(chosen: Settings, labels: Labels, step: Step, *, decisions: bool) -> Material:
    """The records that the labels name, and with ``decisions`` those that stewards decided about."""
    async with opened(chosen) as index:
        store, in_use = index.store, index.follower.deciding()
        said = (await decided(store) if decisions else {}) | labels
        found = await records_named(store, said, step)
        return Material(found, said, in_use, (await store.statistics())["records"])


async def _drawn(chosen: Settings, records: int, seed: int, step: Step) -> Records:
    async with opened(chosen) as index:
        return await records_of(index.store, records, seed, step)


def _from_labels(material: Material, step: Step) -> Result:
    labels, anchor = material.labels, material.in_use
    said = labelled_pairs(labels, material.records, anchor, material.index_size)
    left_out = len(labels) - len(said.same)  # a record of them is not in the index
    try:
        model = train(
            anchor,
            [said],
            ridge=LABEL_RIDGE / said.true_pairs,
            steps=_STEPS,
            told=lambda done: step("learning", done, _STEPS),
        )
    except TooFewLabels as error:
        why = (
            f"; {left_out} were left out, as the index does not have both records"
            if left_out
            else ""
        )
        raise InvalidInput(f"{error}{why}") from None
    same = int(said.same.sum())
    facts = {
        "pairs_of_one_person": same,
        "pairs_of_different_people": len(said.same) - same,
        "pairs_left_out": left_out,
    }
    return model, f"Weights of {anchor.version}, moved by {len(said.same)} judged pairs.", facts


def _from_records(records: Records, seed: int, step: Step) -> Result:
    anchors = load_anchors()
    pairs = unlabelled_pairs(list(records.values()), anchors, seed, step)
    try:
        found = learn(
            anchors, pairs, seed=seed, told=lambda done, most: step("learning", done, most)
        )
    except TooFewPairs as error:
        raise InvalidInput(str(error)) from None
    match, relative, twin = found.shares
    facts = {
        "pairs": len(pairs.levels),
        "share_of_one_person": match,
        "share_of_relatives": relative,
        "share_of_twins": twin,
        "households_seen": found.has_rivals,
    }
    about = f"Learned without labels from {len(pairs.levels)} pairs of {len(records)} records."
    return found.model, about, facts
