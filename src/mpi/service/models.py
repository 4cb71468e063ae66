"""The models of an index: added, activated, and taken back. Every change of what decides names who, when and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise

import orjson

from mpi.errors import Conflict, InvalidInput, NotFound
from mpi.matching.model import Model, Thresholds, load_model
from mpi.ports import Activation, ModelRole, ModelStore

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DECIDED_SO_FAR = "it came with the service and decided until now"
"""The reason of the first entry of a history, which nobody gave."""

_RISING = ("impossible", "possible", "review", "link")


def read_model(document: bytes) -> Model:
    """A model from its document. Raises ``InvalidInput`` with a sentence about what is wrong with it."""
    try:
        model = load_model(document)
    except orjson.JSONDecodeError:
        raise InvalidInput("the model document is no JSON") from None
    except (KeyError, TypeError, AttributeError, IndexError):
        raise InvalidInput("this is no model document of this version of the service") from None
    except ValueError as error:
        raise InvalidInput(f"the model document is refused: {error}") from None
    _check(model)
    return model


def check_model_version(version: object) -> None:
    """Raise ``InvalidInput`` unless an index may keep a model under this version."""
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise InvalidInput(
            "the version of a model is at most 64 letters, digits, dots, dashes and underscores"
        )


def _check(model: Model) -> None:
    check_model_version(model.version)
    told = asdict(model.thresholds)
    if any(told[low] > told[high] for low, high in pairwise(_RISING)):
        raise InvalidInput(f"the thresholds of a model rise: {', '.join(_RISING)}")
    if model.thresholds.margin < 0:
        raise InvalidInput("the margin of a model is 0 or more")


def _check_told(*told: str) -> None:
    """Who and why are read years later."""
    if not all(words.strip() and words.isprintable() for words in told):
        raise InvalidInput("say who and why: one line of text each, not empty")


def latest(activations: Iterable[Activation]) -> Mapping[ModelRole, str | None]:
    """Who has each role after these activations."""
    return dict.fromkeys(ModelRole) | {each.role: each.version for each in activations}


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that could decide. The shipped one that was never activated was added by nobody."""

    version: str
    shipped: bool
    decides: bool
    shadow: bool
    added_at: datetime | None
    added_by: str | None


class Models:
    """The models of one index. ``shipped`` is the document that came with this version of the service."""

    def __init__(self, store: ModelStore, shipped: bytes) -> None:
        self._store = store
        self._shipped = shipped
        self._shipped_version = read_model(shipped).version

    async def list(self) -> tuple[ListedModel, ...]:
        """Every model, the shipped one first."""
        kept = {model.version: model for model in await self._store.models()}
        roles = latest(await self._store.activations())
        deciding = roles[ModelRole.DECIDE] or self._shipped_version
        return tuple(
            ListedModel(
                version=version,
                shipped=version == self._shipped_version,
                decides=version == deciding,
                shadow=version == roles[ModelRole.SHADOW],
                added_at=kept[version].added_at if version in kept else None,
                added_by=kept[version].added_by if version in kept else None,
            )
            for version in dict.fromkeys((self._shipped_version, *kept))
        )

    async def history(self) -> tuple[Activation, ...]:
        """Every activation, the oldest first."""
        return await self._store.activations()

    async def deciding(self) -> str:
        """The version that decides."""
        roles = latest(await self._store.activations())
        return roles[ModelRole.DECIDE] or self._shipped_version

    async def document(self, version: str) -> bytes:
        """The document of a model. Raises ``NotFound``."""
        kept = await self._store.model(version) if _VERSION.fullmatch(version) else None
        if kept is not None:
            return kept
        if version == self._shipped_version:
            return self._shipped
        raise NotFound("no model has this version; `mpi model list` shows those there are")

    async def add(self, document: bytes, *, actor: str) -> Model:
        """Keep a model that may be activated. Raises ``InvalidInput``, ``Conflict`` for a version that is taken."""
        _check_told(actor)
        model = read_model(document)
        if model.version == self._shipped_version and document != self._shipped:
            raise Conflict("the shipped model has this version; give yours another")
        await self._store.add_model(model.version, document, actor)
        return model

    async def activate(self, version: str, *, actor: str, reason: str) -> Activation:
        """Let a model decide. Raises ``NotFound``, ``InvalidInput``; ``Conflict`` when it decides already."""
        history = await self._store.activations()
        deciding = latest(history)[ModelRole.DECIDE]
        if deciding == version:
            raise Conflict("this model decides already")
        if deciding is None:
            history = await self._begun(version, actor, reason, history)
        return await self._give(ModelRole.DECIDE, version, actor, reason, history)

    async def _begun(
        self, version: str, actor: str, reason: str, history: tuple[Activation, ...]
    ) -> tuple[Activation, ...]:
        """The history, beginning with what decided so far: the next release may ship another model, or forget it."""
        _check_told(actor, reason)
        read_model(await self.document(version))
        first = await self._give(
            ModelRole.DECIDE, self._shipped_version, actor, DECIDED_SO_FAR, history
        )
        return (*history, first)

    async def rollback(self, *, actor: str, reason: str) -> Activation:
        """Let the model decide again that did before the last activation. Raises ``Conflict`` if there was none."""
        history = await self._store.activations()
        decided = [each.version for each in history if each.role is ModelRole.DECIDE]
        if not decided:
            raise Conflict("no model was activated, so there is nothing to take back")
        # Earlier releases kept none of what decided first: in their indexes the one shipped now stands for it.
        before = decided[-2] if len(decided) > 1 else None
        version = before or self._shipped_version
        if version == decided[-1]:
            raise Conflict("the model before is the one that decides")
        return await self._give(ModelRole.DECIDE, version, actor, reason, history)

    async def shadow(self, version: str | None, *, actor: str, reason: str) -> Activation:
        """Let a model weigh live traffic without deciding; None ends that."""
        history = await self._store.activations()
        return await self._give(ModelRole.SHADOW, version, actor, reason, history)

    async def _give(
        self,
        role: ModelRole,
        version: str | None,
        actor: str,
        reason: str,
        history: tuple[Activation, ...],
    ) -> Activation:
        _check_told(actor, reason)
        if version is not None:
            document = await self.document(version)
            read_model(document)
            # The shipped one too: what decided stays known when another release ships another.
            await self._store.add_model(version, document, actor)
        after = history[-1].number if history else 0
        return await self._store.activate_model(
            role, version, actor=actor, reason=reason, after=after
        )


def with_thresholds(document: bytes, version: str, about: str, link: float, review: float) -> bytes:
    """A document with another link and review threshold, and all else as it is."""
    content = orjson.loads(document)
    limits = Thresholds(**content["thresholds"]).between(link, review)
    content |= {"version": version, "about": about, "thresholds": asdict(limits)}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)
