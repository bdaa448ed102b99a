"""Cove against the real engine: ``bench/run`` prints a table of ratios.

Both engines have roots and a network namespace of their own and are driven by the same client, in turns. Start reading
at ``rows`` (what is measured), then ``measure`` (how).
"""
