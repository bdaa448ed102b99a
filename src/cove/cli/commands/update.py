"""``cove update``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.creation.body import restart_policy
from cove.cli.creation.kinds import BYTES, CPUS, SWAP_BYTES
from cove.cli.creation.mounts import MOUNT
from cove.cli.creation.ports import publish
from cove.cli.failure import Failure, describe
from cove.errors import CoveError
from cove.flags import INT, LIST, STRING, UINT16, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

_KEYS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "egress": "Egress",
    "health-on-failure": "HealthOnFailure",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
    "mount-rm": "MountRemove",
    "publish-rm": "PublishRemove",
}


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    if not values.given:
        raise Failure("you must provide one or more flags when using this command")
    body = {key: values[flag] for flag, key in _KEYS.items() if values.changed(flag)}
    if values.changed("restart"):
        try:
            body["RestartPolicy"] = restart_policy(values.text("restart"))
        except ValueError as error:
            raise Failure(str(error)) from None
    try:
        if added := publish(values.many("publish-add")):
            body["PublishAdd"] = added
    except ValueError as error:
        raise Failure(str(error)) from None
    if values.many("mount-add"):
        body["MountAdd"] = values.many("mount-add")
    warnings: list[str] = []
    problems: list[str] = []
    for name in arguments:
        try:
            answer = session.client.json("POST", f"/containers/{name}/update", body=body)
        except CoveError as error:
            problems.append(describe(error))
            continue
        session.print(name)
        warnings += answer.get("Warnings") or []
    if warnings:
        session.print("\n".join(warnings))
    if problems:
        raise Failure("\n".join(problems))
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    at_least(1),
    (
        Flag("blkio-weight", UINT16, "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"),
        Flag("cpu-period", INT, "Limit CPU CFS (Completely Fair Scheduler) period"),
        Flag("cpu-quota", INT, "Limit CPU CFS (Completely Fair Scheduler) quota"),
        Flag("cpu-rt-period", INT, "Limit the CPU real-time period in microseconds"),
        Flag("cpu-rt-runtime", INT, "Limit the CPU real-time runtime in microseconds"),
        Flag("cpu-shares", INT, "CPU shares (relative weight)", "c"),
        Flag("cpus", CPUS, "Number of CPUs"),
        Flag("cpuset-cpus", STRING, "CPUs in which to allow execution (0-3, 0,1)"),
        Flag("cpuset-mems", STRING, "MEMs in which to allow execution (0-3, 0,1)"),
        Flag("egress", STRING, "What the container may reach (none|deny|learn|allow=NAME|CIDR[:PORT[/PROTO]],...)"),
        Flag("health-on-failure", STRING, "Action when the container is unhealthy (none|restart|stop|kill)"),
        Flag("memory", BYTES, "Memory limit", "m"),
        Flag("memory-reservation", BYTES, "Memory soft limit"),
        Flag("memory-swap", SWAP_BYTES, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
        Flag("mount-add", MOUNT, "Mount something (as --mount has it), also while it runs"),
        Flag("mount-rm", LIST, "Take away the mount at a path of the container, also while it runs"),
        Flag("pids-limit", INT, "Tune container pids limit (set -1 for unlimited)"),
        Flag("publish-add", LIST, "Publish a port of the container, also while it runs"),
        Flag("publish-rm", LIST, "Stop publishing a port of the host ([ADDRESS:]PORT[/PROTOCOL])"),
        Flag("restart", STRING, "Restart policy to apply when a container exits"),
    ),
)
