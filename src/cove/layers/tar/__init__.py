"""Tar archives: a reader that streams, and a writer (POSIX.1-2017 pax, ustar, GNU)."""
