"""The daemon's command line: dockerd's grammar and flags, under either name."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from cove.daemon.options import OPTIONS, Option
from cove.daemon.settings import DEFAULT_CONFIG_FILE, STOCK_CONFIG_FILE, Settings
from cove.errors import InvalidArgument
from cove.flag_table import flag_lines, terminal_width
from cove.flags import BOOL, HELP, INT, STRING, Flag, FlagError, Kind, Parser, Values

STOCK_NAME = "dockerd"
STOCK_DEFAULTS: dict[str, Any] = {"hosts": ["unix:///var/run/docker.sock"], "pidfile": "/var/run/docker.pid"}
"""What is different when the daemon is called by dockerd's name. Not the roots: Docker's are not ours to write to."""

_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}


class CommandLine(NamedTuple):
    """``given``: keys of the configuration file and their values, from flags. ``config_file``: None when not named.

    ``defaults``: of keys that neither flags nor file give.
    """

    program: str
    given: dict[str, Any]
    config_file: str | None
    defaults: dict[str, Any]
    validate: bool = False
    version: bool = False
    help: bool = False

    @property
    def default_config_file(self) -> str:
        return STOCK_CONFIG_FILE if self.program == STOCK_NAME else DEFAULT_CONFIG_FILE


def parse(words: Sequence[str], program: str = "coved") -> CommandLine:
    """Read the arguments after the program's name. Raises InvalidArgument that names the flag, in dockerd's words."""
    try:
        values, rest = Parser(FLAGS).parse(list(words))
        if rest:
            raise FlagError(f'"{program}" accepts no arguments.')
        given = {_key(option.name): _value(option, values) for option in OPTIONS if values.changed(option.flag)}
    except FlagError as error:
        raise InvalidArgument(f"{error.message}\nSee '{program} --help'.") from None
    return CommandLine(
        program,
        given,
        values.text("config-file") if values.changed("config-file") else None,
        STOCK_DEFAULTS if program == STOCK_NAME else {},
        values.on("validate"),
        values.on("version"),
        HELP in values.given,
    )


def program_name() -> str:
    """What this process was called by: ``dockerd``, or ``coved`` for any other name."""
    return STOCK_NAME if os.path.basename(sys.argv[0]) == STOCK_NAME else "coved"


def help_text(program: str) -> str:
    """All flags, in dockerd's layout."""
    lines = flag_lines([*FLAGS, Flag(HELP, BOOL, "print this")], terminal_width())
    return f"Usage:  {program} [OPTIONS]\n\nThe Cove engine: runs containers, alone.\n\nOptions:\n{lines}\n"


def _value(option: Option, values: Values) -> Any:
    """The value of the option's key: texts that were given several times are put together."""
    found = values[option.flag]
    if isinstance(_default(option), dict):
        merged: dict[str, Any] = {}
        for entry in found:
            for key, value in entry.items():
                merged[key] = merged[key] | value if isinstance(value, dict) and key in merged else value
        return merged
    return found


def _default(option: Option) -> Any:
    field = _FIELDS[option.name]
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _flag(option: Option) -> Flag:
    default = _default(option)
    if isinstance(default, bool):
        return Flag(option.flag, BOOL, option.help, option.short, default)
    if isinstance(default, tuple | dict):
        kind = Kind(option.word or "list", option.parse or str, [], "append")
        shown = f"[{','.join(default)}]" if default else ""
        return Flag(option.flag, kind, option.help, option.short, shown=shown)
    if option.parse is None:
        return Flag(option.flag, INT if isinstance(default, int) else STRING, option.help, option.short, default)
    return Flag(option.flag, Kind(option.word, option.parse, type(default)()), option.help, option.short, default)


def _key(name: str) -> str:
    return name.replace("_", "-")


FLAGS = (
    *(_flag(option) for option in OPTIONS),
    Flag("config-file", STRING, "configuration file", shown=f'"{DEFAULT_CONFIG_FILE}"'),
    Flag("validate", BOOL, "check the configuration and exit"),
    Flag("version", BOOL, "print the version and exit", "v"),
)
