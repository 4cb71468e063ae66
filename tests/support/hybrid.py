"""A service whose provider is hybrid, and cases of the demo population that are grey to our own matching."""

from __future__ import annotations

from tests.support.api import Api
from tests.support.verato import Verato, registrations
from tests.support.verato_service import settings

_REGISTERED = registrations(800)
MADE = [row for row, _ in _REGISTERED]

PROBABLE = (MADE[718], MADE[742])
"""One person, probable to our matching."""
POSSIBLE = (MADE[32], MADE[396])
"""One person, barely possible."""
STRANGERS = (MADE[37], MADE[525])
"""Two persons, barely possible."""
TWINS = (MADE[473], MADE[741])
"""Two persons, probable but vetoed."""
VETOED = (MADE[608], {**MADE[799], "first_name": "KATRINA"})
"""One person, more than certain but vetoed: a clerk wrote KATRINA for Kate, whose name is Catherine."""
KNOWN = (*_REGISTERED, (VETOED[1], _REGISTERED[799][1]))
"""What Verato knows, with the truth."""
CLEAR = (MADE[1], {**MADE[1], "phone": ""})
"""One person, certainly."""


def hybrid(verato: Verato, strategy: str = "grey_zone", **more: str) -> dict[str, str]:
    """The settings of a hybrid service."""
    chosen = {"MPI_PROVIDER": "hybrid", "MPI_HYBRID_STRATEGY": strategy}
    return settings(verato, **{**chosen, **more})


async def reconcile(api: Api) -> int:
    """Run everything that waits to be said to Verato; how many errands that were."""
    assert api.parts.courier is not None
    return await api.parts.courier.deliver()
