"""The ``cove`` command: find what is to run, import only that, run it, and end with the right exit code."""

from __future__ import annotations

import os
import sys

from cove import __version__
from cove.flags import BOOL, HELP, LIST, STRING, Flag, FlagError, Parser, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.catalog import Entry
    from cove.cli.session import Session

INTERRUPTED = 130
PIPE_CLOSED = 141

_CONFIG = os.path.join(os.path.expanduser("~"), ".docker")

GLOBAL_FLAGS = (
    Flag("config", STRING, "Location of client config files", shown=f'"{_CONFIG}"'),
    Flag(
        "context",
        STRING,
        "Name of the context to use to connect to the daemon (accepted for compatibility; use -H or COVE_HOST)",
        "c",
    ),
    Flag("debug", BOOL, "Enable debug mode", "D"),
    Flag("host", LIST, "Daemon socket to connect to", "H"),
    Flag("log-level", STRING, 'Set the logging level ("debug", "info", "warn", "error", "fatal")', "l", "info"),
    Flag("tls", BOOL, "Use TLS; implied by --tlsverify"),
    Flag("tlscacert", STRING, "Trust certs signed only by this CA", shown=f'"{_CONFIG}/ca.pem"'),
    Flag("tlscert", STRING, "Path to TLS certificate file", shown=f'"{_CONFIG}/cert.pem"'),
    Flag("tlskey", STRING, "Path to TLS key file", shown=f'"{_CONFIG}/key.pem"'),
    Flag("tlsverify", BOOL, "Use TLS and verify the remote"),
    Flag("version", BOOL, "Print version information and quit", "v"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; ``sys.argv`` by default, and then the process ends here.

    It ends without taking the interpreter down in order, which would be 3 ms of nothing but freeing memory.
    """
    if arguments is not None:
        return _outcome(arguments)
    code = _outcome(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _outcome(words: list[str]) -> int:
    from cove.cli.failure import Failure

    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except Failure as failure:
        return _report(failure.message, failure.code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_stdout()
        return PIPE_CLOSED
    except OSError as error:
        # A file, or our own output, that cannot be read or written.
        _drop_stdout()
        return _report(f"cove: {error.filename or 'output'}: {(error.strerror or str(error)).lower()}", 1)


def _dispatch(words: list[str]) -> int:
    from cove.cli.failure import BAD_FLAG, Failure

    try:
        options, rest = Parser(GLOBAL_FLAGS, interspersed=False).parse(words)
    except FlagError as failure:
        from cove.cli.usage import PROGRAM, flag_complaint

        line = f"{PROGRAM} [OPTIONS] COMMAND [ARG...]"
        raise Failure(flag_complaint("", line, failure.message), BAD_FLAG) from None
    if options.on("version"):
        print(f"Cove version {__version__}")
        return 0
    if not rest or HELP in options.given:
        return _root(options)
    if rest[0] == "daemon":
        from cove.cli.commands.daemon import become_daemon

        return become_daemon(rest[1:])
    return _command(options, rest)


def _root(options: Values) -> int:
    from cove.cli.usage import root_help

    sys.stdout.write(root_help(GLOBAL_FLAGS))
    return 0


def _command(options: Values, words: list[str]) -> int:
    from cove.cli.catalog import COMMANDS, GROUPS

    if words[0] == "help":
        words = [*words[1:], "--help"]
    if words[0] in GROUPS:
        if len(words) == 1 or words[1] in ("--help", "-h"):
            return _group(words[0], asked=len(words) > 1)
        path, rest = " ".join(words[:2]), words[2:]
    else:
        path, rest = words[0], words[1:]
    entry = COMMANDS.get(path)
    if entry is None:
        return _unknown(words)
    return _run(options, path, entry, rest)


def _group(name: str, asked: bool) -> int:
    from cove.cli.usage import group_help

    (sys.stdout if asked else sys.stderr).write(group_help(name))
    return 0


def _unknown(words: list[str]) -> int:
    from cove.cli.catalog import GROUPS
    from cove.cli.usage import PROGRAM, root_help

    if words[0] == "--help":
        sys.stdout.write(root_help(GLOBAL_FLAGS))
        return 0
    if words[0] in GROUPS:
        group = f"{PROGRAM} {words[0]}"
        message = f"unknown command: {group} {words[1]}\n\nUsage:  {group}\n\nRun '{group} --help' for more information"
    else:
        message = f"unknown command: {PROGRAM} {words[0]}\n\nRun '{PROGRAM} --help' for more information"
    return _report(f"{PROGRAM}: {message}", 1)


def _run(options: Values, path: str, entry: Entry, words: list[str]) -> int:
    from cove.cli.failure import BAD_FLAG, Failure, describe
    from cove.cli.session import Session
    from cove.errors import CoveError

    command = entry.load()
    try:
        values, positional = Parser(command.flags, command.interspersed).parse(words)
    except FlagError as failure:
        from cove.cli.usage import flag_complaint, usage_line

        raise Failure(flag_complaint(path, usage_line(path, command), failure.message), BAD_FLAG) from None
    if HELP in values.given:
        from cove.cli.usage import command_help

        sys.stdout.write(command_help(path, command))
        return 0
    if complaint := command.arguments.complaint(len(positional)):
        from cove.cli.usage import count_complaint

        raise Failure(count_complaint(path, command, *complaint))
    session = Session(options, path)
    try:
        _check_daemon(session, [flag for flag in command.flags if flag.needs and values.changed(flag.name)])
        return command.run(session, values, positional)
    except CoveError as error:
        raise Failure(describe(error)) from error
    finally:
        session.close()


def _check_daemon(session: Session, flags: list[Flag]) -> None:
    """Raises Failure for options that the daemon is too old for, or does not run on the right system for."""
    if flags:
        from cove.cli.failure import Failure
        from cove.cli.requirements import unmet

        if problems := unmet(session, flags):
            raise Failure("\n".join(problems))


def _report(message: str, code: int) -> int:
    """Print to stderr what went wrong, after what is already on stdout."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    if message:
        sys.stderr.write(message + "\n")
    return code


def _drop_stdout() -> None:
    """What reads our output has gone; what is still buffered goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
