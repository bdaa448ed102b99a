"""``pause`` and ``resume``."""

from cove.runtime.command.arguments import expect
from cove.runtime.command.call import Call
from cove.runtime.command.container import Failed, load


def pause(call: Call) -> int:
    """Stop every process of a container."""
    _values, words = call.parse(())
    expect(words, 1, 1, "pause")
    container = load(call.root, words[0])
    if container.status() not in ("running", "created"):
        raise Failed("container not running or created")
    container.cgroup.freeze()
    return 0


def resume(call: Call) -> int:
    """Let them go on."""
    _values, words = call.parse(())
    expect(words, 1, 1, "resume")
    container = load(call.root, words[0])
    if not container.alive or not container.cgroup.frozen:
        raise Failed("container not paused")
    container.cgroup.thaw()
    return 0
