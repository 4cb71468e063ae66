"""A port is small enough to be implemented, and says what an adapter owes."""

from typing import Any

import pytest

from mpi import ports

PORTS = [
    port
    for port in (getattr(ports, name) for name in ports.__all__)
    if getattr(port, "_is_protocol", False)
]
MOST_VERBS = 8


def verbs(port: Any) -> dict[str, Any]:
    return {
        name: member
        for name, member in vars(port).items()
        if callable(member) and not name.startswith("_")
    }


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_a_port_has_few_verbs_and_each_says_what_it_does(port: Any) -> None:
    assert port.__doc__
    assert len(verbs(port)) <= MOST_VERBS
    assert [name for name, verb in verbs(port).items() if not verb.__doc__] == []


def test_there_are_ports_to_look_at() -> None:
    assert {"find_key", "revoke_key"} <= verbs(ports.KeyStore).keys()
