"""Profiles as users write them: Docker's format, which has conditions, and the runtime specification's, which is a part
of it. ``select`` is for one container: the rules whose conditions hold.
"""

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from cove.errors import InvalidArgument
from cove.oci.runtime import Seccomp, SeccompArgument, SeccompCall
from cove.seccomp.abi import DOCKER_NAMES, native


class Argument(msgspec.Struct, rename="camel", omit_defaults=True):
    index: int
    value: int
    op: str
    value_two: int = 0


class Condition(msgspec.Struct, rename="camel", omit_defaults=True):
    """``min_kernel``: ``4.8``; smaller parts of the kernel's version do not count."""

    caps: list[str] | None = None
    arches: list[str] | None = None
    min_kernel: str = ""


class Call(msgspec.Struct, rename="camel", omit_defaults=True):
    """``name`` is what the oldest profiles have in the place of ``names``."""

    action: str
    names: list[str] | None = None
    name: str = ""
    errno_ret: int | None = None
    args: list[Argument] | None = None
    comment: str = ""
    includes: Condition | None = None
    excludes: Condition | None = None


class Architecture(msgspec.Struct, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class Profile(msgspec.Struct, rename="camel", omit_defaults=True):
    default_action: str = ""
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[Architecture] | None = None
    flags: list[str] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[Call] | None = None


class Setting(NamedTuple):
    """What the conditions of a profile are about. ``machine`` and ``release``: of uname. ``capabilities``: bounding."""

    machine: str
    release: str
    capabilities: Collection[str]


def decode(text: str | bytes) -> Profile:
    """Read a profile. Raises InvalidArgument in Docker's words."""
    try:
        profile = msgspec.json.decode(text, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from error
    if profile.architectures and profile.arch_map:
        raise InvalidArgument(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    for call in profile.syscalls or []:
        if call.name and call.names:
            raise InvalidArgument(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
            )
        for condition in (call.includes, call.excludes):
            if condition is not None and condition.min_kernel:
                _version(condition.min_kernel)
    return profile


def _version(text: str) -> tuple[int, int]:
    wrong = f'Decoding seccomp profile failed: invalid kernel version: "{text}", expected "<kernel>.<major>"'
    parts = text.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
        raise InvalidArgument(wrong)
    version = int(parts[0]), int(parts[1])
    if version == (0, 0):
        raise InvalidArgument(f"{wrong}: version cannot be 0.0")
    return version


def select(profile: Profile, setting: Setting) -> Seccomp | None:
    """The profile of one container. None when it asks for nothing, which switches seccomp off, as in Docker."""
    if not profile.default_action and not profile.syscalls:
        return None
    made: Seccomp = {"defaultAction": profile.default_action, "syscalls": []}
    if profile.default_errno_ret is not None:
        made["defaultErrnoRet"] = profile.default_errno_ret
    architectures = profile.architectures or _mapped(profile, native(setting.machine))
    if architectures:
        made["architectures"] = architectures
    if profile.flags is not None:
        made["flags"] = profile.flags
    if profile.listener_path:
        made["listenerPath"] = profile.listener_path
    if profile.listener_metadata:
        made["listenerMetadata"] = profile.listener_metadata
    made["syscalls"] = [_call(call) for call in profile.syscalls or [] if _applies(call, setting)]
    return made


def _mapped(profile: Profile, own: str) -> list[str]:
    found = next((entry for entry in profile.arch_map or [] if entry.architecture == own), None)
    return [] if found is None else [own, *(found.sub_architectures or [])]


def _applies(call: Call, setting: Setting) -> bool:
    """Every kind of condition that ``includes`` has must hold, and none of those of ``excludes``."""
    wanted, unwanted = call.includes or Condition(), call.excludes or Condition()
    machine = DOCKER_NAMES.get(setting.machine, setting.machine)
    if machine in (unwanted.arches or []) or any(name in setting.capabilities for name in unwanted.caps or []):
        return False
    if unwanted.min_kernel and _runs(setting, unwanted.min_kernel):
        return False
    if wanted.arches and machine not in wanted.arches:
        return False
    if not all(name in setting.capabilities for name in wanted.caps or []):
        return False
    return not wanted.min_kernel or _runs(setting, wanted.min_kernel)


def _runs(setting: Setting, least: str) -> bool:
    """Whether the kernel is that version or a newer one."""
    parts = setting.release.replace("-", ".").split(".")
    return (int(parts[0]), int(parts[1])) >= _version(least)


def _call(call: Call) -> SeccompCall:
    made: SeccompCall = {"names": call.names or [call.name], "action": call.action}
    if call.errno_ret is not None:
        made["errnoRet"] = call.errno_ret
    if call.args:
        made["args"] = [_argument(argument) for argument in call.args]
    return made


def _argument(argument: Argument) -> SeccompArgument:
    made: SeccompArgument = {"index": argument.index, "value": argument.value, "op": argument.op}
    if argument.value_two:
        made["valueTwo"] = argument.value_two
    return made
