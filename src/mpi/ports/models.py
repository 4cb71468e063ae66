"""The matching models of an index, and which of them decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from mpi.matching.model import Model


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model document in the store, without the document itself."""

    version: str
    added_at: datetime
    added_by: str


class ModelRole(StrEnum):
    """What a model is there for."""

    DECIDE = "decide"
    SHADOW = "shadow"  # it weighs what the deciding one weighs, and is only counted


@dataclass(frozen=True, slots=True)
class Activation:
    """That a model took a role: which, when, at whose word and why. Without ``version`` nobody has the role.

    They are numbered from 1 and never deleted; of each role the last one counts.
    """

    number: int
    role: ModelRole
    version: str | None
    at: datetime
    actor: str
    reason: str


class ModelStore(Protocol):
    """Models as documents, and which of them decides. As durable as who is who."""

    async def add_model(self, version: str, document: bytes, actor: str) -> None:
        """Keep a document for ever. The same one again changes nothing; another of the same version: ``Conflict``."""
        ...

    async def models(self) -> tuple[KeptModel, ...]:
        """Every model that was added, the oldest first."""
        ...

    async def model(self, version: str) -> bytes | None:
        """The document, exactly as it was added; None if it never was."""
        ...

    async def activate_model(
        self, role: ModelRole, version: str | None, *, actor: str, reason: str, after: int
    ) -> Activation:
        """Give a role to a model that was added. ``after``: the number of the last activation that was seen.

        Raises ``ConcurrentChange`` when there was a later one, ``Conflict`` when no such model was added.
        """
        ...

    async def activations(self) -> tuple[Activation, ...]:
        """Every activation in order."""
        ...

    async def last_activation(self) -> int:
        """The number of the last one, 0 without any. Cheap: every process asks several times a second."""
        ...


ModelInUse = Callable[[], Model]
"""Names the model that decides at this moment; another one may the next time."""
