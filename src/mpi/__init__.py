"""A real-time Master Patient Index: who is this patient, how sure are we, and why?

The layers, from the edges inwards, are ``cli``/``api``, ``bootstrap``,
``service``/``stores``/``cache``/``providers``, ``ports``, ``matching``, ``domain`` and
``errors``/``resilience``. An import only ever points inwards; ``make lint`` checks it.
"""

__version__ = "0.1.0"
