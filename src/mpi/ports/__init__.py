"""The contracts between the heart and its adapters. An adapter is right when it passes ``tests/contract``."""

from __future__ import annotations

from mpi.ports.caches import (
    AnswerCache,
    CoordinatingCache,
    KeptAnswer,
    RemoteCache,
    SharedAnswers,
    Turn,
)
from mpi.ports.identity import IdentityHistory, IdentityStore, IndexStore, TaskQueue
from mpi.ports.keys import ApiKey, KeyStore
from mpi.ports.models import Activation, KeptModel, ModelInUse, ModelRole, ModelStore
from mpi.ports.outbox import CallLedger, Outbox
from mpi.ports.providers import AskedLater, Judged, Likely, Provider, Resolution
from mpi.ports.store import Monitored, Store

__all__ = [
    "Activation",
    "AnswerCache",
    "ApiKey",
    "AskedLater",
    "CallLedger",
    "CoordinatingCache",
    "IdentityHistory",
    "IdentityStore",
    "IndexStore",
    "Judged",
    "KeptAnswer",
    "KeptModel",
    "KeyStore",
    "Likely",
    "ModelInUse",
    "ModelRole",
    "ModelStore",
    "Monitored",
    "Outbox",
    "Provider",
    "RemoteCache",
    "Resolution",
    "SharedAnswers",
    "Store",
    "TaskQueue",
    "Turn",
]
