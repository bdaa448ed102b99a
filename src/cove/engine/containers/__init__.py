"""Containers as records: made, listed, shown, changed, and the requests about their files and streams."""
