"""The command ``coved``: read the configuration, run the daemon, answer signals."""

import asyncio
import gc
import logging
import os
import signal
import sys

from cove import __version__
from cove.daemon import api_versions, command_line, configuration, listeners, logs, stacks, subordinate, tls
from cove.daemon.command_line import CommandLine
from cove.daemon.notify import notify
from cove.daemon.reload import Reload, without_effect
from cove.daemon.settings import Settings
from cove.engine.bundle.seccomp import read_default
from cove.errors import CoveError
from cove.kernel import processes

log = logging.getLogger("cove.daemon")


def main() -> None:
    """Run the daemon until SIGTERM or SIGINT. Exit code 1 when it cannot start, with the reason on standard error."""
    program = command_line.program_name()
    try:
        line = command_line.parse(sys.argv[1:], program)
        if line.help:
            print(command_line.help_text(program), end="")
        elif line.version:
            print(f"Cove version {__version__}")
        else:
            _start(line)
    except (CoveError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _start(line: CommandLine) -> None:
    settings = configuration.load(line)
    tls.context(settings)
    api_versions.oldest()
    subordinate.check(settings.userns_remap)
    listeners.group_id(settings.group)
    read_default(settings.seccomp_profile)
    if line.validate:
        print("configuration OK")
        return
    logs.configure(settings.log_level, settings.log_format, debug=settings.debug)
    if os.geteuid() != 0:
        raise CoveError("the daemon needs to be started with root privileges")
    if settings.oom_score_adjust:
        processes.set_oom_score_adjustment(settings.oom_score_adjust)
    if unused := without_effect(settings):
        log.warning("settings without an effect yet: %s", ", ".join(unused))
    asyncio.run(_run(settings, line))


async def _run(settings: Settings, line: CommandLine) -> None:
    from cove.daemon.application import run

    gc.freeze()  # what was imported is not garbage: do not look at it again
    stop, reload = asyncio.Event(), Reload(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, line, reload)
    loop.add_signal_handler(signal.SIGQUIT, stacks.dump, settings.exec_root)
    await run(settings, stop, reload)


def _reload(line: CommandLine, reload: Reload) -> None:
    """SIGHUP: read the configuration file again, and apply what can change while the daemon runs."""
    notify("RELOADING=1")
    try:
        reload.to(configuration.load(line))
    except CoveError as error:
        log.error("not reloaded: %s", error)
    else:
        current = reload.settings
        logs.configure(current.log_level, current.log_format, debug=current.debug)
        log.info("configuration reloaded")
    notify("READY=1")


if __name__ == "__main__":
    main()
