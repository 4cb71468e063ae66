"""The HTTP edge: parse, authorise, render."""
