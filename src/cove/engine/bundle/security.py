"""What ``--security-opt`` says, in the form in which the rest of the engine wants it. Pure."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from cove.errors import InvalidArgument

UNCONFINED = "unconfined"

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class SecurityOptions(NamedTuple):
    """None: not said, so the daemon's default holds. ``seccomp``: ``builtin``, ``unconfined`` or a profile's JSON."""

    no_new_privileges: bool | None = None
    seccomp: str | None = None
    apparmor: str | None = None
    labels: tuple[str, ...] = ()
    writable_cgroups: bool | None = None
    system_paths: str | None = None


def parse(options: Sequence[str]) -> SecurityOptions:
    """Raises InvalidArgument in Docker's words, where 1 is for an option without a value and 2 for a wrong one."""
    made = SecurityOptions()
    for option in options:
        made = _with(made, option)
    return made


def _with(made: SecurityOptions, option: str) -> SecurityOptions:
    if option == "no-new-privileges":
        return made._replace(no_new_privileges=True)
    if option == "disable":
        return made._replace(labels=(*made.labels, option))
    separator = "=" if "=" in option else ":"
    key, found, value = option.partition(separator)
    if not found:
        raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
    if key == "label":
        return made._replace(labels=(*made.labels, value))
    if key == "apparmor":
        return made._replace(apparmor=value)
    if key == "seccomp":
        return made._replace(seccomp=value)
    if key == "no-new-privileges":
        return made._replace(no_new_privileges=_boolean(option, value))
    if key == "writable-cgroups":
        return made._replace(writable_cgroups=_boolean(option, value))
    if option == "systempaths=unconfined":  # for clients that do not turn it into empty lists of paths themselves
        return made._replace(system_paths=value)
    raise InvalidArgument(f'invalid --security-opt 2: "{option}"')


def apparmor_profile(options: SecurityOptions, modules: Collection[str], default: str = "") -> str:
    """The profile that the user named, or the default one; "" for none. On a kernel without AppArmor it is ignored."""
    named = options.apparmor or default
    return named if "apparmor" in modules and named != UNCONFINED else ""


def _boolean(option: str, value: str) -> bool:
    """As Go's strconv.ParseBool."""
    if value not in _TRUE and value not in _FALSE:
        raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return value in _TRUE
