"""``--env-file`` and ``--label-file``: a pair a line, comments and blank lines left out."""

from __future__ import annotations

import os


def read_pairs(path: str, from_environment: bool) -> list[str]:
    """``NAME=value`` lines; a bare NAME takes its value from our environment, or is left out. Raises ValueError."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ValueError(f"open {path}: {_reason(error)}") from None
    try:
        return _pairs(content, from_environment)
    except ValueError as error:
        raise ValueError(f"invalid env file ({path}): {error}") from None


def _pairs(content: bytes, from_environment: bool) -> list[str]:
    found = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode().lstrip()
        except UnicodeDecodeError:
            raise ValueError(f"invalid utf8 bytes at line {number}: [{' '.join(map(str, raw))}]") from None
        if not line or line.startswith("#"):
            continue
        key, equals, _ = line.partition("=")
        if not key:
            raise ValueError(f"no variable name on line '{line}'")
        if " " in key or "\t" in key:
            raise ValueError(f"variable '{key}' contains whitespaces")
        if equals:
            found.append(line)
        elif from_environment and key in os.environ:
            found.append(f"{key}={os.environ[key]}")
    return found


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
