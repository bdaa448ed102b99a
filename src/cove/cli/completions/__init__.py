"""Completion scripts for shells, made from the catalog and the flags; the shell asks the daemon for names itself."""
