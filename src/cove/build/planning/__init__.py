"""From a Dockerfile and what was asked for to a graph of operations; pure."""
