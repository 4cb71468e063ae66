"""An index for the tests of what the service means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.index import Index, indexing


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    """An empty one."""
    async with indexing(tmp_path) as made:
        yield made
