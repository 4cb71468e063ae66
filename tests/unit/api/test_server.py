from __future__ import annotations

from mpi.api.server import Server
from mpi.settings import read_settings


def test_idle_connections_are_kept_for_as_long_as_the_setting_says() -> None:
    chosen = read_settings({"MPI_KEEP_ALIVE": "90"})
    assert Server(chosen).config.timeout_keep_alive == 90
    assert Server(read_settings()).config.timeout_keep_alive == 75
