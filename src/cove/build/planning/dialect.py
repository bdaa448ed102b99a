"""How the history of an image is worded: as Docker's classic builder does, or as BuildKit does. Pure."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from cove.build.planning.configuring import quoted_list, shell
from cove.build.planning.scripts import shown
from cove.dockerfile import instructions as types
from cove.dockerfile.ports import parse_port
from cove.oci.image import Config
from cove.units import format_duration

FILES = "{files}"
"""Stands in the classic history where the digest of the copied files goes."""


class Dialect(Protocol):
    """What differs between Docker's two builders.

    ``keeps_owners``: COPY --from leaves files to those who have them in the source. ``shows_place``: mistakes in a
    Dockerfile are shown with the lines around them. ``args_escaped``: what a CMD sets ``ArgsEscaped`` to.
    ``user_owns``: a directory that WORKDIR makes is its USER's. ``empty_patterns``: a pattern may match nothing.
    ``replaces``: a copied directory takes the place of a file, and a file that of a directory.
    ``names_author``: steps after a MAINTAINER have the author. ``empty``: the configuration that scratch has.
    """

    keeps_owners: bool
    shows_place: bool
    args_escaped: bool
    user_owns: bool
    empty_patterns: bool
    replaces: bool
    names_author: bool
    empty: Config

    def created_by(self, instruction: types.Instruction, config: Config, arguments: Mapping[str, str]) -> str:
        """The history's line. ``config``: after the instruction. ``arguments``: declared ones, in this order, with
        values. Nothing when there is to be no line.
        """

    def comment(self, changes_files: bool) -> str:
        """The history's comment."""


class Classic:
    """``/bin/sh -c #(nop)  ENV A=b``."""

    keeps_owners = True
    shows_place = False
    args_escaped = False
    user_owns = False
    empty_patterns = False
    replaces = True
    names_author = True
    empty = Config()

    def created_by(self, instruction: types.Instruction, config: Config, arguments: Mapping[str, str]) -> str:
        if isinstance(instruction, types.Run):
            return _with_arguments(shown(instruction, config), sorted(arguments.items()))
        prefix = " ".join([*shell(config), "#(nop) "])
        if isinstance(instruction, types.Transfer):
            flag = f"--chown={instruction.chown}" if instruction.chown else ""
            return f"{prefix}{instruction.name} {flag}{FILES} in {instruction.destination} "
        if isinstance(instruction, types.Workdir):
            return f"{prefix}WORKDIR {config.working_dir}"
        if isinstance(instruction, types.Arg):
            declared = (_argument(types.Argument(each.name, each.declared)) for each in instruction.arguments)
            return f"{prefix} {' '.join(['ARG', *declared])}"
        if isinstance(instruction, types.Healthcheck):
            return f"{prefix} HEALTHCHECK {_quoted_health(instruction)}"
        return f"{prefix} {_plain(instruction, config)}"

    def comment(self, changes_files: bool) -> str:
        return ""


class BuildKit:
    """``RUN /bin/sh -c make # buildkit``."""

    keeps_owners = True
    shows_place = True
    args_escaped = True
    user_owns = True
    empty_patterns = True
    replaces = False
    names_author = False
    empty = Config(working_dir="/")

    def created_by(self, instruction: types.Instruction, config: Config, arguments: Mapping[str, str]) -> str:
        if isinstance(instruction, types.Run):
            return f"RUN {_with_arguments(shown(instruction, config), arguments.items())} # buildkit"
        if isinstance(instruction, types.Transfer):
            return f"{_transfer(instruction)} # buildkit"
        if isinstance(instruction, types.Workdir):
            return f"WORKDIR {config.working_dir}"
        if isinstance(instruction, types.Expose):
            return f"EXPOSE [{' '.join(port for word in instruction.ports for port in parse_port(word).ports)}]"
        if isinstance(instruction, types.Healthcheck):
            return f"HEALTHCHECK {_health(instruction)}"
        if isinstance(instruction, types.Onbuild):
            return ""
        return _plain(instruction, config)

    def comment(self, changes_files: bool) -> str:
        return "buildkit.dockerfile.v0"


def _with_arguments(words: list[str], arguments: Iterable[tuple[str, str]]) -> str:
    given = [f"{name}={value}" for name, value in arguments]
    return " ".join([*([f"|{len(given)}", *given] if given else []), *words])


def _transfer(transfer: types.Transfer) -> str:
    flags = ["--parents"] if isinstance(transfer, types.Copy) and transfer.parents else []
    flags += [f"--chown={transfer.chown}"] if transfer.chown else []
    flags += [f"--chmod={transfer.chmod}"] if transfer.chmod else []
    contents = [f"<<{given.name}" for given in transfer.contents]
    return " ".join([transfer.name, *flags, *transfer.sources, *contents, transfer.destination])


def _plain(instruction: types.Instruction, config: Config) -> str:
    match instruction:
        case types.Env() | types.Label():
            pairs = (f"{pair.name}={pair.value}" for pair in instruction.pairs)
            return " ".join([instruction.name, *pairs])
        case types.Arg():
            return " ".join(["ARG", *(_argument(argument) for argument in instruction.arguments)])
        case types.Expose():
            return " ".join(["EXPOSE", *instruction.ports])
        case types.Volume():
            return f"VOLUME [{' '.join(instruction.paths)}]"
        case types.User():
            return f"USER {instruction.user}"
        case types.StopSignal():
            return f"STOPSIGNAL {instruction.signal}"
        case types.Shell():
            return f"SHELL [{' '.join(instruction.words)}]"
        case types.Onbuild():
            return f"ONBUILD {instruction.trigger}"
        case types.Maintainer():
            return f"MAINTAINER {instruction.author}"
        case types.Command():
            words = config.entrypoint if isinstance(instruction, types.Entrypoint) else config.cmd
            return f"{instruction.name} {quoted_list(words or [])}"
        case _:
            return instruction.code


def _argument(argument: types.Argument) -> str:
    return argument.name if argument.default is None else f"{argument.name}={argument.default}"


def _quoted_health(health: types.Healthcheck) -> str:
    """As Go prints the structure with %q."""
    times = " ".join(f'"{_duration(time)}"' for time in (health.interval, health.timeout, health.start_period))
    return f"&{{{quoted_list(health.test)} {times} '\\x{health.retries:02x}'}}"


def _health(health: types.Healthcheck) -> str:
    """As Go prints the structure with %+v."""
    times = {
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
    }
    said = " ".join(f"{name}:{_duration(time)}" for name, time in times.items())
    return f"{{Test:[{' '.join(health.test)}] {said} Retries:{health.retries}}}"


def _duration(nanoseconds: int) -> str:
    return format_duration(nanoseconds) if nanoseconds else "0s"
