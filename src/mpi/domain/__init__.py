"""Pure vocabulary of the index: records, persons, links, decisions. No I/O, no clock."""
