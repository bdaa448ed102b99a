"""New limits and a new restart policy for a container that exists: what they lead to, and what Docker refuses. Pure."""

import msgspec

from cove.engine.bundle import limits, specification
from cove.engine.lifecycle import restarts
from cove.errors import Conflict
from cove.network import parse_policy
from cove.oci.runtime import Resources
from cove.wire.containers import ContainerUpdate
from cove.wire.host_config import HostConfig

LIMITS = (
    "blkio_weight",
    "cpu_shares",
    "nano_cpus",
    "cpu_period",
    "cpu_quota",
    "cpuset_cpus",
    "cpuset_mems",
    "cpu_realtime_period",
    "cpu_realtime_runtime",
    "memory",
    "memory_reservation",
    "memory_swap",
)
"""What an update can change beside the limit of processes. 0 or "" leaves it as it is."""


def updated(host: HostConfig, request: ContainerUpdate) -> HostConfig:
    """A copy of the settings with what the request changes. Raises InvalidArgument and Conflict, in Docker's words."""
    given = {name: value for name in LIMITS if (value := getattr(request, name))}
    alone = HostConfig(**given)
    alone.memory_swap = request.memory_swap if request.memory else 0  # it may go with the memory limit of before
    limits.check(alone)
    _check_conflicts(host, request)
    if request.pids_limit is not None:
        given["pids_limit"] = request.pids_limit if request.pids_limit > 0 else None
    if request.restart_policy is not None and request.restart_policy.name:
        given["restart_policy"] = request.restart_policy
    if request.health_on_failure:
        given["health_on_failure"] = request.health_on_failure
    if request.egress:
        parse_policy(request.egress)
        given["egress"] = "" if request.egress == "none" else request.egress
    made = msgspec.structs.replace(host, **given)
    if made.auto_remove and made.restart_policy.name not in ("", "no"):
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    restarts.checked(made)
    limits.check(made)
    return made


def _check_conflicts(host: HostConfig, request: ContainerUpdate) -> None:
    """What was given as a number of CPUs cannot be changed as period and quota, nor the other way round."""
    for name, key in (("Period", "cpu_period"), ("Quota", "cpu_quota")):
        if request.nano_cpus > 0 and getattr(host, key) > 0:
            raise Conflict(f"Conflicting options: Nano CPUs cannot be updated as CPU {name} has already been set")
        if getattr(request, key) > 0 and host.nano_cpus > 0:
            raise Conflict(f"Conflicting options: CPU {name} cannot be updated as NanoCPUs has already been set")
    if request.memory and request.memory > host.memory_swap and not request.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )


def resources(host: HostConfig, request: ContainerUpdate) -> Resources:
    """What is to be applied to the running container, whose settings are ``host`` from now on. Its devices stay."""
    made = specification.resources(host, {})
    if request.pids_limit is not None and request.pids_limit <= 0:
        made["pids"] = {"limit": -1}
    return made
