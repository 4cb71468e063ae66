"""Make the shipped model anew from labelled sets and the demo population.

    python scripts/train_shipped_model.py DATA --out model.json

DATA is a folder with the sets that docs/explanation/how-good.md names (febrl1.csv.gz …); those that are not there are
left out and named. ``--leave-out dirty`` trains without a profile or a set, to judge a model by what it has not seen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from mpi.demo.files import write
from mpi.demo.population import Population
from mpi.evaluation.labelled import LabelledFile
from mpi.evaluation.learning import pairs_of
from mpi.matching.comparison import TRAIT_INDEX, level_number
from mpi.matching.document import document_of, with_weights
from mpi.matching.model import Model, load_anchors
from mpi.matching.placeholders import DEFAULT
from mpi.matching.training import LabelledPairs, train
from mpi.service.preparation import Preparation

SETS = ("febrl1", "febrl2", "febrl3", "splink_fake1000", "pseudopeople_default")
SHARES = {"febrl1": 1 / 3, "febrl2": 1 / 3, "febrl3": 1 / 3}
"""What sets of one generator count, that they shall not outvote the others."""

PROFILES = {"normal": 11, "dirty": 12, "sparse": 13}
"""Noise profiles of the demo population, and the seed that makes their people."""

ROWS = 40_000
RENAME = {
    "rec_id": "source_id",
    "given": "first_name",
    "middle": "middle_name",
    "family": "last_name",
    "street": "address",
    "unit": "address2",
}
BY_HAND = {
    ("given", "middle"): (3.0, 2.5, 0.621),
    ("dob", "year_only"): (4.5, 0.765, 4.5),
    ("address", "other_unit"): (5.5, 6.0, 6.5),
}
"""Weights (match, relative, twin) of levels that the sets cannot teach. Nobody goes by the middle name there, and 1
January stands for few: learned from different people alone they would say the opposite (docs/adr/0024). And no two
households share a house there, so that another apartment would prove more than the same one."""

STEPS = 600
ABOUT = (
    "u counted on pairs of strangers. Weights anchored at counted log2 m/u, then trained on labelled synthetic pairs "
    "({sets}) by penalised conditional likelihood; see docs/adr/0007 and scripts/train_shipped_model.py."
)


def main(argv: list[str] | None = None) -> int:
    """Train, write the document, tell the progress on standard error."""
    asked = _arguments().parse_args(argv)
    anchors, started = load_anchors(), monotonic()
    left_out = set(asked.leave_out)
    with TemporaryDirectory() as folder:
        files = dict(_files(asked.data, Path(folder), asked.rows, left_out))
        sets = {name: _pairs(name, file, anchors, started) for name, file in files.items()}
    _say(started, "learning from " + ", ".join(sets))

    def told(step: int) -> None:
        if step % 20 == 0:
            _say(started, f"step {step} of at most {STEPS}")

    model = train(anchors, list(sets.values()), steps=STEPS, told=told)
    named = replace(_by_hand(model), version=asked.version)
    asked.out.write_bytes(document_of(named, ABOUT.format(sets=", ".join(sets))))
    _say(started, f"{asked.out} is written")
    return 0


def _by_hand(model: Model) -> Model:
    """The model with the weights that are told ``BY_HAND``."""
    match, rivals = model.match.copy(), model.rivals.copy()
    for (trait, level), (weight, *others) in BY_HAND.items():
        row, column = TRAIT_INDEX[trait], level_number(trait, level)
        match[row, column], rivals[:, row, column] = weight, others
    return with_weights(model, match, rivals, model.expected)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="the folder of the labelled sets")
    parser.add_argument("--out", type=Path, required=True, help="the document to write")
    parser.add_argument("--version", default="unnamed", help="the version that answers name")
    parser.add_argument("--rows", type=int, default=ROWS, help="registrations of each profile")
    names = (*SETS, *PROFILES)
    parser.add_argument("--leave-out", nargs="*", default=[], choices=names, metavar="NAME")
    return parser


def _files(
    data: Path, folder: Path, rows: int, left_out: set[str]
) -> Iterator[tuple[str, LabelledFile]]:
    for name in SETS:
        path = data / f"{name}.csv.gz"
        if name not in left_out and path.exists():
            yield name, LabelledFile(path, rename=RENAME)
        elif name not in left_out:
            sys.stderr.write(f"{path.name} is not there\n")
    for profile, seed in PROFILES.items():
        if profile not in left_out:
            made, truth, related = (
                folder / f"{profile}.{kind}.csv" for kind in ("rows", "truth", "related")
            )
            write(Population(rows, seed, profile), made, truth, related)
            yield profile, LabelledFile(made, truth=truth, related=related)


def _pairs(name: str, file: LabelledFile, anchors: Model, started: float) -> LabelledPairs:
    _say(started, f"comparing {name}")
    found = file.read(Preparation(b"", DEFAULT, lambda: datetime.now(UTC)))
    pairs = pairs_of(found, anchors, lambda *_: None)
    return replace(pairs, share=SHARES.get(name, 1.0))


def _say(started: float, sentence: str) -> None:
    sys.stderr.write(f"{monotonic() - started:6.0f} s  {sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
