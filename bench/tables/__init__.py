"""The tables of the bench, each a function of the run; the order is that of a whole run."""
