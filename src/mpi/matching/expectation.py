"""Learn a model from an index nobody has labelled: expectation maximisation, held by anchors.

The mixture is that of Fellegi and Sunter with rivals: a pair is a match, relatives, twins or strangers, and within a
class traits are independent. Four ties keep it from finding households instead of people (Winkler 2002 shows what
happens without): u comes from random pairs, not from compared ones; every probability has a Dirichlet prior around its
anchor; closer agreements of a match never weigh less than looser ones; and pairs that share no blocking key count as
strangers, so that the classes are shares of *all* pairs.

Among several starts the one that explains held-out pairs best is taken. Where relatives and twins explain nothing,
there are no households to see, and the model knows two classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mpi.matching.comparison import TRAITS
from mpi.matching.document import with_weights
from mpi.matching.kinds import learned_from
from mpi.matching.model import OFFSETS, RIVALS, Matrix, Model, Places, Weights
from mpi.matching.monotone import in_order

FEWEST_PAIRS = 500
"""Compared pairs, with less of which an index says less than the anchors do."""

STARTS = 3
ROUNDS = 60
_PATIENCE = 1e-6  # bits per held-out pair that a further round has to gain

_HELD_OUT = 5  # one pair in so many
_PRIOR_PAIRS = {"match": 300.0, "relative": 3_000.0, "twin": 3_000.0}
"""Pairs of a class that the anchors are worth, per trait: many for relatives and twins, who are few or hard to tell."""
_PRIOR_CHANCE = 50_000.0  # random pairs that the anchor's u is worth
_PRIOR_SHARE = (
    0.1  # what the anchors know of the number of pairs of a class, against what the index shows
)
_JITTER = 40.0  # of a start: pairs that a Dirichlet draw around the anchor is worth
_SUREST = 0.9999  # u of a level that random pairs never miss
_NO_RIVALS = 1e-9  # expected relatives and twins of a model that knows two classes


class TooFewPairs(ValueError):
    """There are not enough compared pairs to learn from."""


@dataclass(frozen=True, slots=True)
class UnlabelledPairs:
    """N compared pairs of an index of ``records``, and R pairs drawn at random, blocking key or not."""

    levels: Matrix  # (N, T)
    rarities: Weights  # (N,)
    random: Matrix  # (R, T)
    records: int


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned. ``gain`` tells how many bits per held-out pair relatives and twins explain beyond two classes;
    ``shares`` how many of the compared pairs belong to a match, to relatives and to twins."""

    model: Model
    has_rivals: bool
    gain: float
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _State:
    """Probabilities of levels by class [class, trait, level], and log2 shares of all pairs [class]."""

    levels: Weights
    shares: Weights


def learn(
    anchor: Model,
    pairs: UnlabelledPairs,
    *,
    seed: int = 1,
    told: Callable[[int, int], object] | None = None,
) -> Learned:
    """The model that explains the index best, near its anchors. ``told`` hears of rounds done and in all, at most.

    Raises:
        TooFewPairs: less than ``FEWEST_PAIRS`` pairs share a blocking key.
    """
    if len(pairs.levels) < FEWEST_PAIRS:
        raise TooFewPairs(
            f"{len(pairs.levels)} pairs of records can be compared; at least {FEWEST_PAIRS} are needed to learn from"
        )
    mixture = _Mixture(anchor, pairs)
    counter = _Counter(told, (STARTS + 2) * ROUNDS)
    chance = np.random.default_rng(seed)
    tried = [
        mixture.climbed(mixture.start(chance if number else None), counter)
        for number in range(STARTS)
    ]
    best = max(tried, key=mixture.held_out)
    plain = mixture.climbed(mixture.without_rivals(), counter)
    gain = mixture.held_out(best) - mixture.held_out(plain)
    found = mixture.settled(best if gain > 0 else plain, counter)
    return Learned(mixture.model(found), gain > 0, gain, mixture.found_shares(found))


class _Counter:
    """Rounds of all starts together."""

    def __init__(self, told: Callable[[int, int], object] | None, total: int) -> None:
        self._told, self._total, self._done = told, total, 0

    def __call__(self) -> None:
        self._done += 1
        if self._told is not None:
            self._told(self._done, self._total)


class _Mixture:
    """K kinds of pairs, and what is known before: u, and the anchors as pseudo-counts."""

    def __init__(self, anchor: Model, pairs: UnlabelledPairs) -> None:
        self._anchor, self._pairs = anchor, pairs
        self._shape = (1 + len(RIVALS), *anchor.match.shape)
        kinds, self._rarities = learned_from(pairs.levels, pairs.rarities)
        self._columns = pairs.levels[kinds.first].astype(np.int64) + OFFSETS
        self._counts = kinds.counts
        self._held = np.bincount(kinds.of[::_HELD_OUT], minlength=len(kinds.first))
        self._spoken = anchor.chance < 1
        weights = np.concatenate([anchor.match[np.newaxis], anchor.rivals])
        known = np.where(self._spoken, anchor.chance, 0.0)
        self._chance = self._counted_chance(_shares(known))
        self._prior = _shares(known * np.exp2(weights))
        self._strength = np.array(list(_PRIOR_PAIRS.values()))[:, np.newaxis, np.newaxis]
        self._all = pairs.records * (pairs.records - 1) / 2
        per_record = np.array([anchor.known_share, *anchor.expected / 2])
        self._expected = per_record * pairs.records

    def _counted_chance(self, known: Weights) -> Weights:
        """u of every level from random pairs, the anchor's where they are too few."""
        width = known.shape[1]
        columns = self._pairs.random.astype(np.int64) + np.arange(len(TRAITS)) * width
        counts = np.bincount(columns.ravel(), minlength=known.size).reshape(known.shape)
        return _shares(np.where(self._spoken, counts, 0) + _PRIOR_CHANCE * known)

    def start(self, chance: np.random.Generator | None) -> _State:
        """The anchors, or a draw from around them."""
        levels = self._prior
        if chance is not None:
            levels = _shares(chance.standard_gamma(_JITTER * levels) + 1e-6 * levels)
        return _State(levels, np.log2(self._expected / self._all))

    def without_rivals(self) -> _State:
        """The anchors of a match alone."""
        start = self.start(None)
        return replace(
            start, shares=np.where(np.arange(self._shape[0]) == 0, start.shares, -np.inf)
        )

    def climbed(self, state: _State, count: Callable[[], None]) -> _State:
        """Rounds over the pairs that are not held out, until these are explained no better."""
        return self._climbed(state, self._counts - self._held, count)

    def settled(self, state: _State, count: Callable[[], None]) -> _State:
        """Rounds over all pairs."""
        return self._climbed(state, self._counts, count)

    def _climbed(self, state: _State, counts: Places, count: Callable[[], None]) -> _State:
        share_seen = float(counts.sum() / self._counts.sum())
        before = -math.inf
        for _ in range(ROUNDS):
            count()
            likelier = self._likelier(state)
            told = _log_sum(likelier)
            state = self._maximised(state, np.exp2(likelier - told) * counts, share_seen)
            now = float(np.average(told, weights=counts))
            if now - before < _PATIENCE:
                break
            before = now
        return state

    def _weights(self, state: _State) -> Weights:
        """Log2 of how much likelier a level is within a class than among strangers [class, trait, level]."""
        ratio = np.divide(state.levels, self._chance, out=np.ones(self._shape), where=self._spoken)
        return np.log2(ratio)

    def _likelier(self, state: _State) -> Weights:
        """Log2 odds of each class against strangers, kind by kind of pairs: shape (classes, K)."""
        weights = self._weights(state).reshape(self._shape[0], -1)
        sums = np.stack([row[self._columns].sum(axis=1) for row in weights])
        return sums + self._rarities + state.shares[:, np.newaxis]

    def _maximised(self, state: _State, belongs: Weights, share_seen: float) -> _State:
        """The state that fits so many pairs of each kind that belong to each class; shape (classes, K)."""
        size, columns = self._spoken.size, self._columns.ravel()
        counts = np.stack(
            [
                np.bincount(columns, np.repeat(share, len(TRAITS)), minlength=size)
                for share in belongs
            ]
        ).reshape(self._shape)
        levels = _shares(np.where(self._spoken, counts, 0.0) + self._strength * self._prior)
        match = in_order(self._weights(replace(state, levels=levels))[0])
        levels[0] = _shares(np.where(self._spoken, self._chance * np.exp2(match), 0.0))
        pairs = belongs.sum(axis=1) / share_seen + _PRIOR_SHARE * self._expected
        shares = np.log2(pairs / (1 + _PRIOR_SHARE) / self._all)
        return _State(levels, np.where(np.isneginf(state.shares), -np.inf, shares))

    def held_out(self, state: _State) -> float:
        """Bits per held-out pair that the classes explain beyond strangers."""
        return float(np.average(_log_sum(self._likelier(state)), weights=self._held))

    def found_shares(self, state: _State) -> tuple[float, ...]:
        """Which share of the compared pairs belongs to each class."""
        likelier = self._likelier(state)
        shares = np.exp2(likelier - _log_sum(likelier))
        return tuple(np.average(shares, axis=1, weights=self._counts).tolist())

    def model(self, state: _State) -> Model:
        """The state as a model. Relatives and twins are counted per record, as they are met there."""
        weights = self._weights(state)
        weights[:, ~self._spoken] = 0.0
        pairs = np.exp2(state.shares[1:]) * self._all
        expected = np.maximum(2 * pairs / self._pairs.records, _NO_RIVALS)
        chance = np.where(self._spoken, np.minimum(self._chance, _SUREST), 1.0)
        return with_weights(replace(self._anchor, chance=chance), weights[0], weights[1:], expected)


def _shares(counts: Weights) -> Weights:
    """Along the last axis, shares that sum to one."""
    found: Weights = counts / counts.sum(axis=-1, keepdims=True)
    return found


def _log_sum(likelier: Weights) -> Weights:
    """Log2 of the odds of all classes, strangers included. Shape (K,)."""
    found: Weights = np.logaddexp2(0.0, np.logaddexp2.reduce(likelier, axis=0))
    return found
