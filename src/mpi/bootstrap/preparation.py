"""How the index that the settings name reads what is submitted."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import orjson

from mpi.bootstrap.key import hmac_key
from mpi.errors import ConfigurationError
from mpi.matching.placeholders import DEFAULT, Placeholders
from mpi.service.preparation import Preparation
from mpi.settings import Settings


def preparation(settings: Settings) -> Preparation:
    """How that index reads, for a process that helps it. The index has to exist.

    Raises:
        ConfigurationError: the key or ``MPI_PLACEHOLDERS`` cannot be used.
    """
    key = hmac_key(settings, create=False)
    return Preparation(key, placeholders_of(settings), partial(datetime.now, UTC))


def placeholders_of(settings: Settings) -> Placeholders:
    """The shipped table and what ``MPI_PLACEHOLDERS`` adds: ``{"ssn": ["…"], "full_name": ["…"]}``."""
    given = settings.placeholders
    if given is None:
        return DEFAULT
    try:
        text = given if given.lstrip().startswith("{") else Path(given).read_text(encoding="utf-8")
        more = orjson.loads(text)
        if not all(isinstance(values, list) for values in more.values()):
            raise TypeError  # a text is letters to go through: each would become a placeholder
        return DEFAULT.extended(more)
    except (OSError, ValueError, TypeError, AttributeError):
        traits = ", ".join(sorted(DEFAULT.values))
        raise ConfigurationError(
            "MPI_PLACEHOLDERS must be a JSON object of lists, or the path of a file that holds one; "
            f"its names are {traits}; no value may be empty, and one of phone or phone_line is a number "
            "without an extension (phone_line: seven digits)"
        ) from None
