"""An end in words: exit codes, signals, limits. Pure."""

import signal

from cove.engine.containers.record import Record, State

_CODES = {
    125: "the engine could not start it",
    126: "the program was found and could not be executed: it is no program for this machine, or not executable",
    127: "the program, or an interpreter that it names, was not found in the image",
}

_SIGNALS = {
    "SIGKILL": "something killed it at once: a stop that took too long, `kill`, or the kernel for want of memory",
    "SIGTERM": "it was asked to end, and had no handler for that",
    "SIGINT": "it was interrupted from a terminal",
    "SIGSEGV": "it used memory that is not its own: a bug in it, or a library that does not fit",
    "SIGABRT": "it gave up by itself (abort): an assertion, or an allocator that found damage",
    "SIGBUS": "memory behind a mapping was missing: often a full /dev/shm (--shm-size) or a file that was cut",
    "SIGILL": "it executed an instruction that this processor does not have",
    "SIGFPE": "it divided by zero",
    "SIGSYS": "it made a system call that the seccomp profile kills for",
    "SIGPIPE": "it wrote to a pipe that nobody reads",
    "SIGHUP": "its terminal went away",
    "SIGXCPU": "it reached its limit of processor time (--ulimit cpu)",
}


def signal_name(exit_code: int) -> str:
    """The signal that ended a program, by its exit code; empty when it was none."""
    if 128 < exit_code < 128 + signal.NSIG:
        try:
            return signal.Signals(exit_code - 128).name
        except ValueError:
            return f"signal {exit_code - 128}"
    return ""


def summary(record: Record, removed: bool) -> str:
    """One sentence."""
    state = record.state
    said = _summary(state)
    return f"{said}; it was removed, and is in the trash" if removed else said


def _summary(state: State) -> str:
    if state.error and not state.finished_at:
        return f"it could not be started: {state.error}"
    if state.status == "created":
        return f"its start failed: {state.error}" if state.error else "it was created and not started yet"
    if state.status == "running":
        ill = state.health is not None and state.health.status == "unhealthy"
        return "it runs, and its health check fails" if ill else "it runs"
    if state.status == "paused":
        return "it was paused: `unpause` lets it go on"
    end = f"it could not be started again: {state.error}" if state.error else _end(state)
    return f"{end}; its start by the restart policy is planned" if state.status == "restarting" else end


def _end(state: State) -> str:
    name = signal_name(state.exit_code)
    if state.oom_killed:
        return "the kernel killed it, or a process in it, for want of memory"
    if state.stopped:
        return f"a user stopped it (exit code {state.exit_code}{f', {name}' if name else ''})"
    if name:
        return f"it was ended by {name}"
    if state.exit_code == 0:
        return "its program ended by itself, and well (exit code 0)"
    return f"its program ended by itself with exit code {state.exit_code}"


def explanation(record: Record) -> list[str]:
    """What there is to say beside the summary."""
    state, host = record.state, record.host_config
    if state.status in ("running", "paused"):
        return ["it was started again by its restart policy"] if state.restart_count else []
    said = []
    name = signal_name(state.exit_code)
    if state.oom_killed:
        said.append(
            "raise --memory, or let the program use less" if host.memory else "the machine itself ran out of memory"
        )
    elif name in _SIGNALS and not state.stopped:
        said.append(f"{name}: {_SIGNALS[name]}")
    elif state.exit_code in _CODES:
        said.append(f"exit code {state.exit_code}: {_CODES[state.exit_code]}")
    policy = host.restart_policy
    tries = policy.maximum_retry_count if policy.name == "on-failure" else 0
    if state.status == "exited" and 0 < tries <= state.restart_count:
        said.append(f"the restart policy gave up after {state.restart_count} restarts")
    if state.status == "exited" and state.stopped and policy.name in ("always", "unless-stopped", "on-failure"):
        said.append("a user's stop goes before the restart policy")
    return said
