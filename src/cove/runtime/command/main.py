"""``cove-oci``: global flags, the table of commands, and how a call ends."""

import os
import sys

from cove.lean import Callable, NoReturn
from cove.runtime.command.arguments import BOOL, TEXT, Flag, Refused, flag, parse
from cove.runtime.command.call import Call
from cove.runtime.command.container import Failed
from cove.runtime.command.journal import Journal
from cove.runtime.scope_names import BOOTED

NAME = "cove-oci"
FLAGS: tuple[Flag, ...] = (
    flag("debug", BOOL, "enable debug logging"),
    flag("log", TEXT, "set the log file to write logs to (default: standard error)"),
    flag("log-format", TEXT, 'set the log format ("text", or "json")', "text"),
    flag("root", TEXT, "root directory for storage of container state"),
    flag("criu", TEXT, "ignored: checkpoint and restore are not supported"),
    flag("systemd-cgroup", BOOL, "enable systemd cgroup support"),
    flag("rootless", TEXT, 'ignore cgroup permission errors ("true", "false", or "auto")', "auto"),
    flag("help,h", BOOL, "show help"),
    flag("version,v", BOOL, "print the version"),
)
COMMANDS: dict[str, tuple[str, str]] = {
    "create": ("creating", "create a container"),
    "delete": ("ending", "delete any resources held by the container"),
    "events": ("events", "display container events such as OOM notifications and usage statistics"),
    "exec": ("executing", "execute a new process inside the container"),
    "features": ("features", "show the enabled features"),
    "kill": ("ending", "send a signal (default: SIGTERM) to the container's init process"),
    "list": ("listing", "list the containers started with the given root"),
    "pause": ("freezing", "suspend all processes inside the container"),
    "ps": ("listing", "display the processes running inside a container"),
    "resume": ("freezing", "resume all processes that have been paused"),
    "run": ("creating", "create and run a container"),
    "spec": ("template", "create a new specification file"),
    "start": ("creating", "execute the user-defined process in a created container"),
    "state": ("listing", "output the state of a container"),
    "update": ("updating", "update container resource constraints"),
}
"""The module of each command, in which a function has its name, and what help says."""

_RENAMED = {"exec": "execute", "list": "list_containers"}


def main(arguments: list[str] | None = None, *, ended: Callable[[], None] = lambda: None) -> NoReturn:
    """Carry out one call and exit, at once: there is nothing that the interpreter would have to tidy up.

    ``ended`` is called when all of it is done.
    """
    code = 1
    try:
        code = _main(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:
        code = 141
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = code or 1
        ended()
        os._exit(code)


def _main(arguments: list[str]) -> int:
    try:
        values, words = parse(FLAGS, arguments)
        if values["version"]:
            return _version()
        if values["help"] or not words or words[0] in ("help", "h"):
            return _help()
        if words[0] not in COMMANDS:
            raise Refused(f"No help topic for '{words[0]}'")
        journal = Journal(values["log"], values["log-format"], values["debug"])
    except (Refused, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    root = values["root"] or _default_root()
    return _carry_out(Call(words[0], os.path.abspath(root), journal, words[1:], values["systemd-cgroup"]))


def _carry_out(call: Call) -> int:
    try:
        if call.systemd and call.name in ("create", "run", "update") and not os.path.isdir(BOOTED):
            raise Failed("systemd cgroup flag passed, but systemd support for managing cgroups is not available")
        if call.words[:1] in (["--help"], ["-h"]):
            return _help_for(call.name)
        return _function(call.name)(call)  # type: ignore[no-any-return,operator]
    except Refused as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        call.journal.error(str(error))
        return 1
    except Failed as error:
        prefix = f"{NAME} {call.name} failed: " if call.name in ("create", "run", "start") else ""
        prefix = "exec failed: " if call.name == "exec" else prefix
        call.journal.error(f"{prefix}{error}")
        return error.code
    except OSError as error:
        call.journal.error(f"{NAME} {call.name} failed: {error}")
        return 1


def _function(name: str) -> object:
    module = __import__(f"cove.runtime.command.{COMMANDS[name][0]}", fromlist=["*"])
    return getattr(module, _RENAMED.get(name, name))


def _default_root() -> str:
    if os.geteuid() != 0 and os.environ.get("XDG_RUNTIME_DIR"):
        return f"{os.environ['XDG_RUNTIME_DIR']}/{NAME}"
    return f"/run/{NAME}"


def _version() -> int:
    from cove import __version__

    print(f"{NAME} version {__version__}\nspec: 1.2.0\npython: {sys.version.split()[0]}")
    return 0


def _help() -> int:
    print(
        f"NAME:\n   {NAME} - Cove's OCI runtime\n\nUSAGE:\n   {NAME} [global options] command [command options] ...\n"
    )
    print("COMMANDS:")
    for name, (_module, text) in COMMANDS.items():
        print(f"   {name:<10} {text}")
    print("\nGLOBAL OPTIONS:")
    _print_flags(FLAGS)
    return 0


def _help_for(name: str) -> int:
    module = __import__(f"cove.runtime.command.{COMMANDS[name][0]}", fromlist=["*"])
    print(f"NAME:\n   {NAME} {name} - {COMMANDS[name][1]}\n\nOPTIONS:")
    _print_flags(getattr(module, f"{name.upper()}_FLAGS", ()))
    return 0


def _print_flags(flags: tuple[Flag, ...]) -> None:
    for entry in flags:
        names = ", ".join(f"--{name}" if len(name) > 1 else f"-{name}" for name in entry.names)
        print(f"   {names:<24} {entry.help}")


if __name__ == "__main__":
    main()
