"""Cove against the real engine: ``python -m bench`` prints a table of ratios."""
