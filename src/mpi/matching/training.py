"""Learn the weights of a model from labelled pairs, near their anchors.

The total weight of every compared pair – match weights, term frequencies, prior, minus log2(1 + Σ odds of rivals) –
shall be the log-odds that it is one person: penalised conditional likelihood (logistic regression, with rivals as in
:meth:`mpi.matching.model.Model.penalties`). Three ties keep it from learning the set instead of people (ADR 0007):
each weight stays within ``BOX`` bits of its anchor; none lies above log2 1/u, because m is a probability; and closer
agreements never weigh less than looser ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpi.matching.comparison import TRAITS
from mpi.matching.descent import minimise
from mpi.matching.document import with_weights
from mpi.matching.kinds import learned_from
from mpi.matching.model import (
    COMMON_TO_TWINS,
    OFFSETS,
    RIVALS,
    Flags,
    Matrix,
    Model,
    Places,
    Weights,
    child_or_twin,
)
from mpi.matching.monotone import CHAINS, bounds_in_order, ordered

BOX = 2.0
"""Bits that a weight may move away from its anchor."""

RIDGE = 3e-5
"""Price of a squared bit away from the anchor; the pairs of a whole set cost about 0.01."""

LABEL_RIDGE = 1.0
"""The same price where only some pairs are labelled, to be divided by how many of them are true: a bit costs as much
as a judgement that was .7 bits wrong."""

SIZES = (20_000, 1_000_000)
"""Records of the indexes that the weights shall be right in: pairs of strangers count as often as these hold them."""

FEWEST = 30
"""Labelled pairs of each kind; with less, the anchors know better."""

_WORTH_SCALING = 10_000  # records: a smaller set has too few strangers to stand for a large index
_LN2 = math.log(2)


class TooFewLabels(ValueError):
    """There are not enough labelled pairs to learn from."""


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """N labelled pairs of one set.

    ``strangers`` are pairs of people who are not related either: in an index n times as large there are n times as
    many of them per record. Where none is told, the labels hold for an index of this size only. ``records`` is the
    size of the set, ``true_pairs`` how many pairs of one person it holds, compared or not. ``share`` is what the set
    counts beside others, as several that one generator made count as one.
    """

    levels: Matrix  # (N, T)
    rarities: Weights  # (N,): sum of the term-frequency adjustments
    same: NDArray[np.bool_]  # (N,)
    strangers: NDArray[np.bool_]  # (N,)
    records: int
    true_pairs: int
    share: float = 1.0
    unnamed: Flags | None = None  # (N,): see model.child_or_twin; None: of no pair


@dataclass(frozen=True, slots=True)
class _Term:
    """One set as it would lie in an index of ``size`` records."""

    pairs: LabelledPairs
    columns: Places  # (1 + R, N, T): where the weights of the levels stand in a flattened [class, trait, level]
    counts: Weights  # (N,): how many pairs of the set look like this one
    excess: Weights  # (N,): see Model.excess
    catchments: Weights  # (N,): see Model.catchments
    sizes: tuple[int, ...]

    def among(self, size: int) -> Weights:
        """Of how many people each pair's stranger is one, in an index of that size. Shape (N,)."""
        found: Weights = np.maximum(self.catchments, size)
        return found

    def importance(self, size: int) -> Weights:
        smallest = max(self.pairs.records, SIZES[0])
        counted = np.where(self.pairs.strangers, self.among(size) / smallest, 1.0)
        return self.pairs.share * self.counts * counted / (self.pairs.true_pairs * len(self.sizes))


def train(
    anchor: Model,
    sets: Sequence[LabelledPairs],
    *,
    box: float = BOX,
    ridge: float = RIDGE,
    steps: int = 300,
    told: Callable[[int], object] | None = None,
) -> Model:
    """The model whose weights fit the sets best, near those of ``anchor``.

    ``told`` hears of each step.

    Raises:
        TooFewLabels: there are less than ``FEWEST`` pairs of one person, or of different people.
    """
    _check(sets)
    problem = _Problem(anchor, [_term(anchor, pairs) for pairs in sets], box, ridge)
    found = minimise(problem.loss, problem.start, problem.project, steps=steps, told=told)
    match, rivals, expected = problem.parts(found.point)
    return with_weights(anchor, match, rivals, np.exp2(expected))


def _check(sets: Sequence[LabelledPairs]) -> None:
    same = sum(int(pairs.same.sum()) for pairs in sets)
    other = sum(len(pairs.same) for pairs in sets) - same
    for count, kind in ((same, "one person"), (other, "different people")):
        if count < FEWEST:
            raise TooFewLabels(
                f"{count} labelled pairs are of {kind}; at least {FEWEST} are needed to learn from"
            )


def _term(anchor: Model, pairs: LabelledPairs) -> _Term:
    scaled = pairs.records >= _WORTH_SCALING and bool(pairs.strangers.any())
    sizes = tuple({max(size, pairs.records) for size in (SIZES if scaled else SIZES[:1])})
    kinds, counts = _alike(pairs)
    said = anchor.said(kinds.levels, kinds.unnamed)
    return _Term(
        pairs=kinds,
        columns=_columns(kinds),
        counts=counts,
        excess=anchor.excess(said, kinds.rarities),
        catchments=anchor.catchments(said, kinds.rarities),
        sizes=sizes,
    )


def _columns(pairs: LabelledPairs) -> Places:
    """For the match and each rival the weights that are summed: for a child without a name a rival has some of the
    match's.
    """
    own = pairs.levels.astype(np.int64) + OFFSETS
    taken = COMMON_TO_TWINS.ravel()[own]
    taken &= child_or_twin(pairs.levels, _unnamed(pairs))[:, np.newaxis]
    size = COMMON_TO_TWINS.size
    return np.stack(
        [own, *(np.where(taken, own, own + (1 + r) * size) for r in range(len(RIVALS)))]
    )


def _unnamed(pairs: LabelledPairs) -> Flags:
    return np.zeros(len(pairs.same), np.bool_) if pairs.unnamed is None else pairs.unnamed


def _alike(pairs: LabelledPairs) -> tuple[LabelledPairs, Weights]:
    """Pairs that look alike as one, and how many there are of each."""
    unnamed = _unnamed(pairs)
    also = [told.astype(np.int64) for told in (pairs.same, pairs.strangers, unnamed)]
    kinds, rarities = learned_from(pairs.levels, pairs.rarities, *also)
    told = replace(
        pairs,
        levels=pairs.levels[kinds.first],
        rarities=rarities,
        same=pairs.same[kinds.first],
        strangers=pairs.strangers[kinds.first],
        unnamed=unnamed[kinds.first],
    )
    return told, kinds.counts.astype(float)


class _Problem:
    """The penalised loss of a vector: the weights of the match and of each rival, then log2 of the expected rivals."""

    def __init__(self, anchor: Model, terms: Sequence[_Term], box: float, ridge: float) -> None:
        self._terms, self._ridge = terms, ridge
        self._share = math.log2(anchor.known_share)
        self._shape = (1 + len(RIVALS), *anchor.match.shape)
        weights = np.concatenate([anchor.match[np.newaxis], anchor.rivals])
        known = np.broadcast_to(anchor.chance < 1, weights.shape)
        cap = np.where(known, -np.log2(anchor.chance), 0.0)
        reach = np.where(known, box, 0.0)
        highest = np.minimum(weights + reach, cap)
        lowest = np.minimum(weights - reach, highest)
        lowest[0], highest[0] = bounds_in_order(lowest[0], highest[0])
        rivals = np.log2(anchor.expected)
        self.start = np.concatenate([weights.ravel(), rivals])
        self._lowest = np.concatenate([lowest.ravel(), rivals - box])
        self._highest = np.concatenate([highest.ravel(), rivals + box])

    def parts(self, point: Weights) -> tuple[Weights, Weights, Weights]:
        """The match weights, those of the rivals, and log2 of how many rivals are expected."""
        weights = point[: -len(RIVALS)].reshape(self._shape)
        return weights[0], weights[1:], point[-len(RIVALS) :]

    def project(self, point: Weights) -> Weights:
        """The nearest point within all bounds whose match weights are in order."""
        found = np.clip(point, self._lowest, self._highest)
        wished, allowed, low, high = (
            vector[: math.prod(self._shape[1:])].reshape(self._shape[1:])
            for vector in (point, found, self._lowest, self._highest)
        )
        for row, levels in CHAINS:
            parts = (part[row, levels].tolist() for part in (wished, low, high))
            allowed[row, levels] = ordered(*parts)
        return found

    def loss(self, point: Weights) -> tuple[float, Weights]:
        """The loss and its gradient."""
        away = point - self.start
        total, gradient = self._ridge * float(away @ away), 2 * self._ridge * away
        for term in self._terms:
            value, slope = self._of(term, point)
            total += value
            gradient += slope
        return total, gradient

    def _of(self, term: _Term, point: Weights) -> tuple[float, Weights]:
        sums = [point[columns].sum(axis=1) + term.pairs.rarities for columns in term.columns]
        total, pulls = 0.0, np.zeros((len(sums), len(term.pairs.same)))
        for size in term.sizes:
            value, pull = self._at(term, sums, point[-len(RIVALS) :], size)
            total += value
            pulls += pull
        repeated = np.repeat(pulls.ravel(), len(TRAITS))
        slope = np.bincount(term.columns.ravel(), repeated, minlength=math.prod(self._shape))
        return total, np.concatenate([slope, pulls[1:].sum(axis=1)])

    def _at(
        self, term: _Term, sums: Sequence[Weights], expected: Weights, size: int
    ) -> tuple[float, Weights]:
        """Loss in an index of that size, and its derivative by the weight of the match and of each rival, per pair."""
        prior = -np.log2(term.among(size))
        rivals = np.stack(
            [found + count + prior for found, count in zip(sums[1:], expected, strict=True)]
        )
        penalty = np.logaddexp2(term.excess, np.logaddexp2.reduce(rivals, axis=0))
        odds = (sums[0] + self._share + prior - penalty) * _LN2
        same, importance = term.pairs.same, term.importance(size)
        loss = float((importance * np.logaddexp(0.0, np.where(same, -odds, odds))).sum())
        wrong = (1 / (1 + np.exp(-np.clip(odds, -500, 500))) - same) * _LN2 * importance
        return loss, np.concatenate([wrong[np.newaxis], -wrong * np.exp2(rivals - penalty)])
