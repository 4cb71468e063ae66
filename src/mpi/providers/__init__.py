"""Adapters that resolve identity, behind :class:`mpi.ports.Provider`."""
