"""The commands of ``mpi``, one module per subject."""
