"""The command ``coved``: read the configuration, run the daemon, answer signals."""

import asyncio
import gc
import logging
import os
import signal
import sys
from typing import Any

from cove.daemon import logs, settings, tls
from cove.daemon.notify import notify
from cove.errors import CoveError

log = logging.getLogger("cove.daemon")


def main() -> None:
    """Run the daemon until SIGTERM or SIGINT. Exit code 1 when it cannot start, with the reason on standard error."""
    given = vars(settings.parser().parse_args())
    try:
        configuration = settings.load(given)
        tls.context(configuration)
        if given.get("validate"):
            print("configuration OK")
            return
        logs.configure(configuration.log_level, debug=configuration.debug)
        if os.geteuid() != 0:
            raise CoveError("the daemon needs to be started with root privileges")
        asyncio.run(_run(configuration, given))
    except (CoveError, OSError) as error:
        print(f"coved: {error}", file=sys.stderr)
        raise SystemExit(1) from None


async def _run(configuration: settings.Settings, given: dict[str, Any]) -> None:
    from cove.daemon.application import run

    gc.freeze()  # what was imported is not garbage: do not look at it again
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, given)
    await run(configuration, stop)


def _reload(given: dict[str, Any]) -> None:
    """SIGHUP: read the configuration file again, and apply what can change while the daemon runs."""
    notify("RELOADING=1")
    try:
        fresh = settings.load(given)
    except CoveError as error:
        log.error("not reloaded: %s", error)
    else:
        logs.configure(fresh.log_level, debug=fresh.debug)
        log.info("configuration reloaded")
    notify("READY=1")


if __name__ == "__main__":
    main()
