"""How records are read, found, compared and decided upon: functions of their arguments, no I/O."""
