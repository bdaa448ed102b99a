"""What provenance says of the repository that a context belongs to: its address and its commit."""

from __future__ import annotations

import os
import subprocess

from cove.urls import without_user

SECONDS = 10
WITHOUT = "BUILDX_GIT_INFO"
"""The variable that, set to false, leaves it out."""


def repository(directory: str) -> dict[str, str]:
    """``source``, ``revision`` and where the directory is below the top; nothing where there is no repository."""
    if os.environ.get(WITHOUT, "").lower() in ("0", "false"):
        return {}
    top, revision = _git(directory, "rev-parse", "--show-toplevel"), _git(directory, "rev-parse", "HEAD")
    if not top or not revision:
        return {}
    place = os.path.relpath(os.path.realpath(directory), os.path.realpath(top))
    source = _git(directory, "remote", "get-url", "origin")
    found = {"localdir:context": place, "revision": revision}
    return {**found, **({"source": without_user(source)} if source else {})}


def _git(directory: str, *words: str) -> str:
    """What git prints, which is told to run nothing of the repository's; nothing when it fails."""
    command = ["git", "-C", directory, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
