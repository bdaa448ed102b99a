"""Who makes the control groups of containers: we, or systemd (``--exec-opt native.cgroupdriver=``)."""

import os

from cove.daemon.settings import Settings
from cove.engine.bundle.group_names import GroupNames, check_slice
from cove.errors import InvalidArgument
from cove.runtime.scope_names import BOOTED, DEFAULT_SLICE

DRIVERS = ("cgroupfs", "systemd")
_OPTION = "native.cgroupdriver"


def check_option(option: str) -> None:
    """One ``exec-opt``. Raises InvalidArgument in dockerd's words."""
    key, equals, value = option.partition("=")
    if not equals:
        raise InvalidArgument(f"invalid exec-opt ({option}): must be formatted 'opt=value'")
    if key.lower() == _OPTION and value not in DRIVERS:
        raise InvalidArgument(f"native.cgroupdriver option {value} not supported")


def uses_systemd(settings: Settings) -> bool:
    """What the first option says, as dockerd has it."""
    options = (option.partition("=") for option in settings.exec_opts)
    return next((value for key, _, value in options if key.lower() == _OPTION), "") == "systemd"


def check_parent(settings: Settings) -> None:
    """Raises InvalidArgument, for systemd in dockerd's words."""
    parent = settings.cgroup_parent
    if uses_systemd(settings):
        check_slice(names(settings).parent)
    elif (not parent.startswith("/") and not parent.endswith(".slice")) or ".." in parent.split("/"):
        raise InvalidArgument(f"cgroup-parent must be an absolute path below the cgroup root: {parent}")


def check_machine(settings: Settings) -> None:
    """Whether the driver can work here. Raises InvalidArgument."""
    if uses_systemd(settings) and not os.path.isdir(BOOTED):
        raise InvalidArgument(
            f"exec-opt {_OPTION}=systemd requires systemd, which does not run here: there is no {BOOTED}"
        )


def names(settings: Settings) -> GroupNames:
    """The parent that nobody set is systemd's own slice of services there."""
    if not uses_systemd(settings):
        return GroupNames(settings.cgroup_parent)
    parent = settings.cgroup_parent
    return GroupNames(DEFAULT_SLICE if parent == Settings().cgroup_parent else parent, systemd=True)
