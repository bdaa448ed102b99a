"""How containers start, run and end: shims, states, probes, restarts, execs, and what a new daemon finds."""
