"""Restart policies: whether a container that ended starts again, and after how long. Pure."""

from cove.engine.containers.record import State
from cove.errors import InvalidArgument
from cove.wire.host_config import HostConfig, RestartPolicy

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
STEADY = 10.0
"""Seconds. Docker: 100 ms, doubled each time up to a minute, from the start again after 10 s of running."""

ON_FAILURE = ("none", "restart", "stop", "kill")
"""What may be done with a container that its probes find unhealthy; an extension of ours."""

_NAMES = ("", "no", "always", "unless-stopped", "on-failure")


def checked(host: HostConfig) -> None:
    """Raises InvalidArgument, in Docker's words, for a policy that is none or does not go with the rest."""
    policy = host.restart_policy
    if policy.name not in _NAMES:
        known = "'no', 'always', 'on-failure', or 'unless-stopped'"
        raise InvalidArgument(f"invalid restart policy: unknown policy '{policy.name}'; use one of {known}")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if policy.maximum_retry_count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if host.auto_remove and policy.name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    if host.health_on_failure not in ("", *ON_FAILURE):
        known = ", ".join(ON_FAILURE)
        raise InvalidArgument(f"invalid HealthOnFailure: '{host.health_on_failure}' is none of {known}")


def wanted(policy: RestartPolicy, state: State) -> bool:
    """Whether the policy starts it again after this end."""
    if state.stopped:
        return False
    if policy.name == "on-failure":
        tries = policy.maximum_retry_count
        return state.exit_code != 0 and (not tries or state.restart_count < tries)
    return policy.name in ("always", "unless-stopped")


def wanted_at_boot(policy: RestartPolicy, state: State) -> bool:
    """Whether a daemon that comes up starts it: ``always`` does even after a user's stop."""
    return policy.name == "always" or wanted(policy, state)


def delay(previous: float, ran_for: float) -> float:
    """Seconds to wait, given the last wait (0 for none) and how long the container ran."""
    if not previous or ran_for >= STEADY:
        return FIRST_DELAY
    return min(previous * 2, LONGEST_DELAY)
