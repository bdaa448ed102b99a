"""The daemon's configuration from its three sources: flags, the configuration file, defaults.

A directive that is both a flag and in the file is refused, as dockerd does: nobody can say which one was meant.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from cove.daemon import checks
from cove.daemon.command_line import CommandLine
from cove.daemon.settings import Settings
from cove.errors import InvalidArgument

_KEYS = {field.encode_name for field in msgspec.structs.fields(Settings)}


def load(line: CommandLine) -> Settings:
    """Raises InvalidArgument that names the flag or key, in dockerd's words."""
    path = Path(line.config_file or line.default_config_file)
    content = _read(path, required=line.config_file is not None)
    merged = line.defaults | (content or {}) | line.given
    if content is None:
        settings = _converted(merged)
        checks.check(settings)
    else:
        with _said_of(f"unable to configure the Docker daemon with file {path}"):
            _refuse_unknown(content)
            _refuse_both(line.given, content)
            alone = _converted(content)
            with _said_of("configuration validation from file failed"):
                checks.check(alone)
            settings = _converted(merged)
            with _said_of("merged configuration validation from file and command line flags failed"):
                checks.check(settings)
    checks.check_log(settings)
    checks.check_together(settings)
    return settings


@contextmanager
def _said_of(what: str) -> Iterator[None]:
    try:
        yield
    except InvalidArgument as error:
        raise InvalidArgument(f"{what}: {error.message}") from None


def _read(path: Path, *, required: bool) -> dict[str, Any] | None:
    """None when there is no file and none was asked for."""
    try:
        data = path.read_bytes()
        content = json.loads(data) if data.strip() else {}
    except FileNotFoundError:
        if not required:
            return None
        reason = f"open {path}: no such file or directory"
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error)
    else:
        if isinstance(content, dict):
            return content
        reason = "it must hold a JSON object"
    raise InvalidArgument(f"unable to configure the Docker daemon with file {path}: {reason}")


def _refuse_unknown(content: dict[str, Any]) -> None:
    unknown = [key for key in content if key not in _KEYS]
    if unknown:
        raise InvalidArgument(f"the following directives don't match any configuration option: {', '.join(unknown)}")


def _refuse_both(given: dict[str, Any], content: dict[str, Any]) -> None:
    both = [
        f"{key}: (from flag: {_shown(given[key])}, from file: {_shown(content[key])})"
        for key in given
        if key in content
    ]
    if both:
        raise InvalidArgument(
            "the following directives are specified both as a flag and in the configuration file: " + ", ".join(both)
        )


def _shown(value: Any) -> str:
    """As Go prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{' '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_shown(inner)}' for key, inner in value.items())}]"
    return str(value)


_ROOTS = ("data-root", "exec-root")
"""May be given from where the daemon is started, as dockerd's."""


def _converted(values: dict[str, Any]) -> Settings:
    roots = {key: os.path.abspath(root) for key in _ROOTS if isinstance(root := values.get(key), str) and root}
    try:
        return msgspec.convert(values | roots, Settings)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error)) from error
