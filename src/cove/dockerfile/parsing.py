"""Statements to typed instructions, and a whole Dockerfile to stages."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypedDict

from cove.dockerfile import instructions as types
from cove.dockerfile.directives import Directive
from cove.dockerfile.failure import DockerfileError, Location
from cove.dockerfile.flags import NONE, Flags, FlagSet
from cove.dockerfile.heredocs import Heredoc, heredoc_in
from cove.dockerfile.mounts import mount_source, parse_device
from cove.dockerfile.source import decoded, read
from cove.dockerfile.spelling import suggestion
from cove.dockerfile.splitting import KEYWORDS, Pair, Statement
from cove.dockerfile.text import SPACE, quoted
from cove.errors import InvalidArgument
from cove.units import format_duration, parse_duration

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_ONBUILD = re.compile(r"\s*ONBUILD\s*", re.IGNORECASE)
_RETRIES = re.compile(r"[+-]?[0-9]{1,10}")
_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it up to the next."""

    index: int
    start: types.From
    instructions: tuple[types.Instruction, ...]

    @property
    def name(self) -> str:
        """Its name in lower case, or nothing."""
        return self.start.stage


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile. ``arguments`` are the ARGs before the first FROM."""

    text: str
    arguments: tuple[types.Arg, ...]
    stages: tuple[Stage, ...]
    directives: dict[str, Directive]
    escape: str
    empty_continuations: tuple[Location, ...] = ()


def parse(data: bytes) -> Dockerfile:
    """Read a Dockerfile. Raises DockerfileError with the place and BuildKit's words."""
    text = decoded(data)
    source = read(text)
    arguments: list[types.Arg] = []
    stages: list[tuple[types.From, list[types.Instruction]]] = []
    for statement in source.statements:
        instruction = instruction_of(statement)
        if isinstance(instruction, types.From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, types.Arg):
            arguments.append(instruction)
        else:
            raise DockerfileError("no build stage in current context", statement.location, statement.keyword)
    if not stages:
        raise DockerfileError("dockerfile contains no stages to build")
    numbered = tuple(Stage(index, start, tuple(body)) for index, (start, body) in enumerate(stages))
    return Dockerfile(text, tuple(arguments), numbered, source.directives, source.escape, source.empty_continuations)


def parse_trigger(trigger: str, location: Location) -> types.Instruction:
    """An ONBUILD trigger of a base image, as if it stood where ``location`` is. Raises DockerfileError."""
    statements = read(trigger).statements
    if len(statements) != 1:
        raise DockerfileError("onbuild trigger should be a single expression", location)
    instruction = instruction_of(statements[0], location)
    if isinstance(instruction, types.From):
        raise DockerfileError("FROM isn't allowed as an ONBUILD trigger", location)
    return instruction


def instruction_of(statement: Statement, location: Location | None = None) -> types.Instruction:
    """What a statement means. Raises DockerfileError that begins with the line, as BuildKit's do."""
    place = location or statement.location
    try:
        parser = _PARSERS.get(statement.name)
        if parser is None:
            hint = suggestion(statement.keyword, KEYWORDS, ignore_case=True)
            raise DockerfileError(f"unknown instruction: {statement.keyword}{hint}", culprit=statement.keyword)
        return parser(statement, _written(statement, place))
    except DockerfileError as error:
        raise error.at(place, f"dockerfile parse error on line {place.first}: ") from None


class _Written(TypedDict):
    """What every instruction takes over from its statement."""

    keyword: str
    code: str
    location: Location
    comments: tuple[str, ...]


def _written(statement: Statement, location: Location) -> _Written:
    return {
        "keyword": statement.keyword,
        "code": statement.line.strip(SPACE),
        "location": location,
        "comments": statement.comments,
    }


def _from(statement: Statement, written: _Written) -> types.Instruction:
    words = statement.arguments
    named = len(words) == 3 and words[1].lower() == "as"
    if not named and len(words) != 1:
        raise DockerfileError("FROM requires either one or three arguments")
    stage = words[2].lower() if named else ""
    if named and not _STAGE_NAME.fullmatch(stage):
        message = f"invalid name for build stage: {quoted(words[2])}, name can't start with a number or contain symbols"
        raise DockerfileError(message, culprit=words[2])
    flags = FlagSet(texts=("platform",)).read(statement.flags)
    return types.From(
        **written,
        image=words[0],
        stage=stage,
        stage_as_written=words[2] if named else "",
        as_keyword=words[1] if named else "",
        platform=flags.text("platform"),
    )


def _arg(statement: Statement, written: _Written) -> types.Instruction:
    _at_least_one(statement.arguments, "ARG")
    return types.Arg(**written, arguments=tuple(_argument(word) for word in statement.arguments))


def _argument(word: str) -> types.Argument:
    name, sign, default = word.partition("=")
    if sign and not name:
        raise DockerfileError("ARG names can not be blank", culprit=word)
    return types.Argument(name, default if sign else None)


def _pairs(statement: Statement) -> tuple[Pair, ...]:
    NONE.read(statement.flags)
    _at_least_one(statement.pairs, statement.name)
    if not all(pair.name for pair in statement.pairs):
        raise DockerfileError(f"{statement.name} names can not be blank")
    return statement.pairs


def _env(statement: Statement, written: _Written) -> types.Instruction:
    return types.Env(**written, pairs=_pairs(statement))


def _label(statement: Statement, written: _Written) -> types.Instruction:
    return types.Label(**written, pairs=_pairs(statement))


def _maintainer(statement: Statement, written: _Written) -> types.Instruction:
    return types.Maintainer(**written, author=_only_one(statement))


def _workdir(statement: Statement, written: _Written) -> types.Instruction:
    return types.Workdir(**written, path=_only_one(statement))


def _user(statement: Statement, written: _Written) -> types.Instruction:
    return types.User(**written, user=_only_one(statement))


def _stopsignal(statement: Statement, written: _Written) -> types.Instruction:
    return types.StopSignal(**written, signal=_only_one(statement))


def _expose(statement: Statement, written: _Written) -> types.Instruction:
    _at_least_one(statement.arguments, "EXPOSE")
    NONE.read(statement.flags)
    return types.Expose(**written, ports=tuple(sorted(statement.arguments)))


def _volume(statement: Statement, written: _Written) -> types.Instruction:
    _at_least_one(statement.arguments, "VOLUME")
    NONE.read(statement.flags)
    paths = tuple(path.strip(SPACE) for path in statement.arguments)
    if not all(paths):
        raise DockerfileError("VOLUME specified can not be an empty string")
    return types.Volume(**written, paths=paths)


def _shell(statement: Statement, written: _Written) -> types.Instruction:
    NONE.read(statement.flags)
    _at_least_one(statement.arguments, "SHELL")
    if not statement.json:
        raise DockerfileError(_not_json("SHELL", statement.line))
    return types.Shell(**written, words=statement.arguments)


_RUN_FLAGS = FlagSet(texts=("network", "security"), lists=("mount", "device"))


def _run(statement: Statement, written: _Written) -> types.Instruction:
    flags = _RUN_FLAGS.read(statement.flags)
    network, security = flags.text("network", "default"), flags.text("security", "sandbox")
    mounts = flags.listed("mount")
    sources = tuple(mount_source(mount) for mount in mounts)
    if network not in ("default", "none", "host"):
        raise DockerfileError(f"invalid network mode {quoted(network)}", culprit=network)
    if security not in ("sandbox", "insecure"):
        raise DockerfileError(f"security {quoted(security)} is not valid", culprit=security)
    return types.Run(
        **written,
        words=statement.arguments,
        shell=not statement.json,
        heredocs=statement.heredocs,
        mount_flags=mounts,
        mount_sources=sources,
        network=network,
        security=security,
        devices=tuple(parse_device(device) for device in flags.listed("device")),
    )


def _cmd(statement: Statement, written: _Written) -> types.Instruction:
    NONE.read(statement.flags)
    return types.Cmd(**written, words=statement.arguments, shell=not statement.json, heredocs=statement.heredocs)


def _entrypoint(statement: Statement, written: _Written) -> types.Instruction:
    NONE.read(statement.flags)
    return types.Entrypoint(**written, words=statement.arguments, shell=not statement.json, heredocs=statement.heredocs)


class _Transferred(TypedDict):
    """What COPY and ADD have in common."""

    sources: tuple[str, ...]
    contents: tuple[Heredoc, ...]
    destination: str
    chown: str
    chmod: str
    link: bool
    excludes: tuple[str, ...]


_COPY_FLAGS = FlagSet(texts=("chown", "from", "chmod"), switches=("link", "parents"), lists=("exclude",))
_ADD_FLAGS = FlagSet(
    texts=("chown", "chmod", "checksum"), switches=("link", "keep-git-dir", "unpack"), lists=("exclude",)
)


def _copy(statement: Statement, written: _Written) -> types.Instruction:
    _destination(statement)
    flags = _COPY_FLAGS.read(statement.flags)
    transferred = _transferred(statement, flags)
    return types.Copy(**written, **transferred, origin=flags.text("from"), parents=flags.switch("parents"))


def _add(statement: Statement, written: _Written) -> types.Instruction:
    _destination(statement)
    flags = _ADD_FLAGS.read(statement.flags)
    return types.Add(
        **written,
        **_transferred(statement, flags),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.switches.get("keep-git-dir"),
        unpack=flags.switches.get("unpack"),
    )


def _destination(statement: Statement) -> None:
    if len(statement.arguments) < 2:
        raise DockerfileError(
            f"{statement.name} requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        )


def _transferred(statement: Statement, flags: Flags) -> _Transferred:
    *words, destination = statement.arguments
    if _announced(destination):
        raise DockerfileError(f"{statement.name} cannot accept a heredoc as a destination", culprit=destination)
    contents = {heredoc.name: heredoc.content for heredoc in statement.heredocs}
    announced = [(word, _announced(word)) for word in words]
    return {
        "sources": tuple(word for word, heredoc in announced if not heredoc),
        "contents": tuple(heredoc.with_content(contents.get(heredoc.name, "")) for _, heredoc in announced if heredoc),
        "destination": destination,
        "chown": flags.text("chown"),
        "chmod": flags.text("chmod"),
        "link": flags.switch("link"),
        "excludes": flags.listed("exclude"),
    }


def _announced(word: str) -> Heredoc | None:
    try:
        return heredoc_in(word)
    except DockerfileError:
        return None


_HEALTH_FLAGS = FlagSet(texts=("interval", "timeout", "start-period", "start-interval", "retries"))


def _healthcheck(statement: Statement, written: _Written) -> types.Instruction:
    _at_least_one(statement.arguments, "HEALTHCHECK")
    kind, *command = statement.arguments
    if kind.upper() == "NONE":
        if command:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments")
        return types.Healthcheck(**written, test=("NONE",))
    flags = _HEALTH_FLAGS.read(statement.flags)
    if kind.upper() != "CMD":
        raise DockerfileError(f"Unknown type {quoted(kind.upper())} in HEALTHCHECK (try CMD)", culprit=kind)
    if not command:
        raise DockerfileError("Missing command after HEALTHCHECK CMD")
    return types.Healthcheck(
        **written,
        test=("CMD" if statement.json else "CMD-SHELL", *command),
        interval=_interval(flags, "interval"),
        timeout=_interval(flags, "timeout"),
        start_period=_interval(flags, "start-period"),
        start_interval=_interval(flags, "start-interval"),
        retries=_retries(flags.text("retries")),
    )


def _interval(flags: Flags, name: str) -> int:
    text = flags.text(name)
    try:
        duration = parse_duration(text) if text else 0
    except InvalidArgument as error:
        raise DockerfileError(f"time: {error.message}", culprit=text) from None
    if duration and duration < _MILLISECOND:
        limit = format_duration(_MILLISECOND)
        raise DockerfileError(f"Interval {quoted(name)} cannot be less than {limit}", culprit=text)
    return duration


def _retries(text: str) -> int:
    if not text:
        return 0
    if not _RETRIES.fullmatch(text):
        raise DockerfileError(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax", culprit=text)
    if abs(retries := int(text)) >= 1 << 31:
        raise DockerfileError(f"strconv.ParseInt: parsing {quoted(text)}: value out of range", culprit=text)
    if retries < 0:
        raise DockerfileError(f"--retries cannot be negative ({retries})", culprit=text)
    return retries


def _onbuild(statement: Statement, written: _Written) -> types.Instruction:
    _at_least_one(statement.arguments, "ONBUILD")
    NONE.read(statement.flags)
    trigger = statement.arguments[0].upper()
    if trigger == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise DockerfileError(f"{trigger} isn't allowed as an ONBUILD trigger", culprit=statement.arguments[0])
    text = _ONBUILD.sub("", statement.line, count=1)
    text += "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in statement.heredocs)
    return types.Onbuild(**written, trigger=text)


def _at_least_one(words: Iterable[object], name: str) -> None:
    if not words:
        raise DockerfileError(f"{name} requires at least one argument")


def _only_one(statement: Statement) -> str:
    if len(statement.arguments) != 1:
        raise DockerfileError(f"{statement.name} requires exactly one argument")
    NONE.read(statement.flags if statement.name != "STOPSIGNAL" else ())
    return statement.arguments[0]


def _not_json(name: str, line: str) -> str:
    return f"{name} requires the arguments to be in JSON form"


_PARSERS: dict[str, Callable[[Statement, _Written], types.Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
