"""Measures the service: latency, loads, comparison speed, accuracy – each figure beside a floor or a rival."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
"""Where ``python -m bench.…`` works from."""
