"""Whole populations in and out, over the same index as everything else."""
