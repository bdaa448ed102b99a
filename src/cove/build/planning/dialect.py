"""How the history of an image is worded: as Docker's classic builder does, or as BuildKit does. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from cove.build.planning.configuring import command_line, quoted_list, shell
from cove.dockerfile import instructions as types
from cove.oci.image import Config
from cove.units import format_duration

FILES = "{files}"
"""Stands in the classic history where the digest of the copied files goes."""


class Dialect(Protocol):
    """``keeps_owners``: COPY --from leaves files to those who have them in the source. ``shows_place``: mistakes in a
    Dockerfile are shown with the lines around them.
    """

    keeps_owners: bool
    shows_place: bool

    def created_by(self, instruction: types.Instruction, config: Config, arguments: Mapping[str, str]) -> str:
        """The history's line. ``config``: after the instruction. ``arguments``: declared ones with values."""

    def comment(self, changes_files: bool) -> str:
        """The history's comment."""


class Classic:
    """``/bin/sh -c #(nop)  ENV A=b``."""

    keeps_owners = True
    shows_place = False

    def created_by(self, instruction: types.Instruction, config: Config, arguments: Mapping[str, str]) -> str:
        if isinstance(instruction, types.Run):
            return _with_arguments(command_line(_whole(instruction), config), arguments)
        prefix = " ".join([*shell(config), "#(nop) "])
        if isinstance(instruction, types.Transfer):
            flag = f"--chown={instruction.chown}" if instruction.chown else ""
            return f"{prefix}{instruction.name} {flag}{FILES} in {instruction.destination} "
        if isinstance(instruction, types.Workdir):
            return f"{prefix}WORKDIR {config.working_dir}"
        if isinstance(instruction, types.Arg):
            declared = (_argument(types.Argument(each.name, each.declared)) for each in instruction.arguments)
            return f"{prefix} {' '.join(['ARG', *declared])}"
        return f"{prefix} {_classic(instruction, config)}"

    def comment(self, changes_files: bool) -> str:
        return ""


class BuildKit:
    """``RUN /bin/sh -c make # buildkit``."""

    keeps_owners = True
    shows_place = True

    def created_by(self, instruction: types.Instruction, config: Config, arguments: Mapping[str, str]) -> str:
        if isinstance(instruction, types.Run):
            return f"RUN {_with_arguments(command_line(_whole(instruction), config), arguments)} # buildkit"
        if isinstance(instruction, types.Transfer):
            return f"{_transfer(instruction)} # buildkit"
        if isinstance(instruction, types.Workdir):
            return f"WORKDIR {config.working_dir}"
        return _classic(instruction, config)

    def comment(self, changes_files: bool) -> str:
        return "buildkit.dockerfile.v0"


def _whole(run: types.Run) -> types.Run:
    """With the text of here-documents in the command."""
    if not run.heredocs:
        return run
    text = "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in run.heredocs)
    return replace(run, words=(run.words[0] + text, *run.words[1:]))


def _with_arguments(words: list[str], arguments: Mapping[str, str]) -> str:
    given = [f"{name}={value}" for name, value in sorted(arguments.items())]
    return " ".join([*([f"|{len(given)}", *given] if given else []), *words])


def _transfer(transfer: types.Transfer) -> str:
    flags = [
        f"--{name}={value}"
        for name, value in (
            ("from", transfer.origin if isinstance(transfer, types.Copy) else ""),
            ("chown", transfer.chown),
            ("chmod", transfer.chmod),
        )
        if value
    ]
    flags += ["--link"] if transfer.link else []
    names = [given.name for given in transfer.contents]
    return " ".join([transfer.name, *flags, *transfer.sources, *names, transfer.destination])


def _classic(instruction: types.Instruction, config: Config) -> str:
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
        case types.Healthcheck():
            return f"HEALTHCHECK {_health(instruction)}"
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


def _health(health: types.Healthcheck) -> str:
    """As Go prints the structure."""
    times = " ".join(
        f'"{format_duration(time) if time else "0s"}"'
        for time in (health.interval, health.timeout, health.start_period)
    )
    return f"&{{{quoted_list(health.test)} {times} '\\x{health.retries:02x}'}}"
