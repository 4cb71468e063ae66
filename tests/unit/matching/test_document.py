import json
from dataclasses import replace
from importlib import resources

import numpy as np

from mpi.matching.comparison import TRAITS
from mpi.matching.document import document_of, with_weights
from mpi.matching.model import load_default_model, load_model

MODEL = load_default_model()


def test_the_shipped_document_is_read_and_written_without_loss() -> None:
    shipped = resources.files("mpi.matching").joinpath("data/model.json").read_bytes()
    written = document_of(MODEL, json.loads(shipped)["about"])
    assert json.loads(written) == json.loads(shipped)


def test_a_written_model_reads_back_the_same() -> None:
    own = replace(MODEL, version="own", frequencies={"family": {"VANDERSLOOT": 0.25}})
    back = load_model(document_of(own, "about"))
    for name in ("match", "rivals", "chance", "ranks", "expected", "sums"):
        assert np.array_equal(getattr(back, name), getattr(own, name)), name
    assert (back.version, back.frequencies) == (own.version, own.frequencies)
    assert (back.thresholds, back.known_share) == (own.thresholds, own.known_share)


def test_what_follows_from_weights_follows_from_new_ones() -> None:
    turned = with_weights(MODEL, -MODEL.match, MODEL.rivals, MODEL.expected)
    levels = np.eye(len(TRAITS), dtype=np.int8)  # one trait agrees
    before, after = MODEL.said(levels).placed, turned.said(levels).placed
    assert before.any()
    assert not (before & after).any()
