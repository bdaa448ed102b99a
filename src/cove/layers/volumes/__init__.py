"""Whole trees of files: volumes copied, compared, kept in an archive, and mounted where something runs."""
