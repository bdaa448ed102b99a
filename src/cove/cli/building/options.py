"""What the flags of ``cove build`` make of the request's query."""

from __future__ import annotations

import json
import os

from cove.cli.failure import Failure
from cove.cli.terminal import STDOUT as FD_OF_STDOUT
from cove.cli.terminal import is_terminal
from cove.errors import InvalidArgument
from cove.flags import parse_fields
from cove.units import parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.flags import Values

    Query = dict[str, Any]

EPOCH = "SOURCE_DATE_EPOCH"
STDOUT = "-"
"""As the ``dest`` of an output."""
ARCHIVES = ("oci", "docker")
FILES = ("local", "tar")
TYPES = ("image", "registry", "cacheonly", *ARCHIVES, *FILES)


def query(values: Values, build: str) -> Query:
    """Everything but the context. ``build``: the build's id. Raises Failure naming the flag."""
    return {
        "storedas": None if stays(values) else temporary_name(build),
        "t": values.many("tag") or None,
        "target": values.text("target") or None,
        "platform": ",".join(values.many("platform")) or None,
        "nocache": values.on("no-cache") or None,
        "nocachefilter": values.many("no-cache-filter") or None,
        "pull": values.on("pull") or None,
        "buildargs": _json(arguments(values)),
        "labels": _json(dict(_pair(text) for text in values.many("label"))),
        "annotations": _json(_annotations(values)),
        "networkmode": values.text("network") if values.text("network") != "default" else None,
        "extrahosts": _json([_host(text) for text in values.many("add-host")]),
        "memory": _size("memory", values) or None,
        "memswap": _swap(values),
        "cpushares": values.number("cpu-shares") or None,
        "cpuperiod": values.number("cpu-period") or None,
        "cpuquota": values.number("cpu-quota") or None,
        "cpusetcpus": values.text("cpuset-cpus") or None,
        "cpusetmems": values.text("cpuset-mems") or None,
        "cgroupparent": values.text("cgroup-parent") or None,
        "shmsize": _size("shm-size", values) or None,
        "ulimits": _json([_ulimit(text) for text in values.many("ulimit")]),
        "securityopt": _json(values.many("security-opt")),
        "isolation": values.text("isolation") or None,
        "outputs": _json([_output(given) for given in outputs(values)]),
        "attestations": _json(_attestations(values)),
        "squash": values.on("squash") or None,
        "allow": values.many("allow") or None,
        "dialect": "buildkit",
        "debug": values.on("debug") or None,
    }  # fmt: skip


def outputs(values: Values) -> list[dict[str, str]]:
    """What ``--output`` asks for; a path alone is files in a directory, ``-`` a tar. Raises Failure."""
    return [_parsed_output(text) for text in values.many("output")]


def _parsed_output(text: str) -> dict[str, str]:
    if "=" not in text and text != STDOUT:
        return {"type": "local", "dest": text}
    given = fields("output", text if text != STDOUT else "type=tar")
    kind = given.get("type", "")
    if kind not in TYPES:
        raise Failure(f'invalid value for --output: unknown type "{kind}"')
    if kind == "local" and not given.get("dest"):
        raise Failure("invalid value for --output: dest is required for local output")
    if kind in ("tar", "oci") and not given.get("dest"):
        given["dest"] = STDOUT
    if given.get("dest") == STDOUT and kind != "local" and is_terminal(FD_OF_STDOUT):
        raise Failure(f"dest file is required for {kind} exporter. refusing to write to console")
    return given


def to_stdout(values: Values) -> bool:
    """Whether something of what is built goes to stdout, where nothing else may be then."""
    return any(output.get("dest") == STDOUT for output in outputs(values))


def stays(values: Values) -> bool:
    """Whether the image is to be in the store afterwards: not when all that was asked for is written elsewhere."""
    made = [output for output in outputs(values) if output["type"] != "cacheonly"]
    elsewhere = [each["type"] in FILES or (each["type"] in ARCHIVES and "dest" in each) for each in made]
    return values.on("load") or values.on("push") or not all(elsewhere) or not made


def temporary_name(build: str) -> str:
    """What an image is called that is in the store only for the time of a build."""
    return f"cove-build:{build}"


def names(values: Values) -> list[str]:
    """What the image is to be called: ``--tag``, and ``name`` of ``--output``."""
    given = [name for output in outputs(values) for name in output.get("name", "").split(",") if name]
    return [*values.many("tag"), *given]


def arguments(values: Values) -> dict[str, str]:
    """``--build-arg``; a name alone takes its value from the environment, and SOURCE_DATE_EPOCH does unasked."""
    found = {EPOCH: os.environ[EPOCH]} if os.environ.get(EPOCH) else {}
    for text in values.many("build-arg"):
        name, sign, value = text.partition("=")
        if not sign and name not in os.environ:
            continue
        found[name] = value if sign else os.environ[name]
    return found


def _annotations(values: Values) -> dict[str, str]:
    """``--annotation [type:]name=value``."""
    found = {}
    for text in values.many("annotation"):
        name, sign, value = text.partition("=")
        if not sign:
            raise Failure(f'invalid annotation "{text}", expected key=value')
        found[name] = value
    return found


def fields(flag: str, text: str) -> dict[str, str]:
    """``name=value,…`` of a flag. Raises Failure naming it."""
    found = {}
    for field in parse_fields(text):
        name, sign, value = field.partition("=")
        if not sign:
            raise Failure(f"invalid value for --{flag}: {field} must be a key=value pair")
        found[name.strip().lower()] = value.strip()
    return found


def _attestations(values: Values) -> dict[str, str]:
    """``--attest``, ``--provenance`` and ``--sbom``: kinds and their modes."""
    found: dict[str, str] = {}
    for text in values.many("attest"):
        given = fields("attest", text)
        if given.get("type") not in ("provenance", "sbom"):
            raise Failure(f"invalid value for --attest: unknown type: {text}")
        if given.get("disabled") != "true":
            found[given["type"]] = _attested(given)
    for kind in ("provenance", "sbom"):
        text = values.text(kind)
        if text in ("false", "0"):
            found.pop(kind, None)
        elif text:
            found[kind] = _attested(fields(kind, text) if "=" in text else {})
    return found


def attests_provenance(values: Values) -> bool:
    """Whether the image is to say how it was made."""
    return "provenance" in _attestations(values)


def _attested(given: dict[str, str]) -> str:
    """What is asked of an attestation, as the API has it."""
    return ",".join([given.get("mode", "min"), *([f"version={given['version']}"] if "version" in given else [])])


def _output(given: dict[str, str]) -> dict[str, Any]:
    """As the API has it. Where files go is no concern of the daemon's."""
    return {
        "Type": given["type"],
        "Attrs": {name: value for name, value in given.items() if name not in ("type", "dest")},
    }


def _json(value: Any) -> str | None:
    """Nothing where there is nothing."""
    return json.dumps(value) if value else None


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _host(text: str) -> str:
    name, sign, address = text.partition("=")
    if not sign:
        name, _, address = text.partition(":")
    if not name or not address:
        raise Failure(f'bad format for add-host: "{text}"')
    return f"{name}:{address.strip('[]')}"


def _size(flag: str, values: Values) -> int:
    text = values.text(flag)
    if not text:
        return 0
    try:
        return parse_size(text)
    except InvalidArgument as error:
        raise Failure(f'invalid argument "{text}" for "--{flag}" flag: {error.message}') from error


def _swap(values: Values) -> int | None:
    return -1 if values.text("memory-swap") == "-1" else _size("memory-swap", values) or None


def _ulimit(text: str) -> dict[str, Any]:
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    try:
        return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    except ValueError:
        raise Failure(f'invalid argument "{text}" for "--ulimit" flag: invalid ulimit argument: {text}') from None
