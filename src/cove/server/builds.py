"""Routes of builds: build, cancel, prune of the cache."""

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.server import hijack
from cove.server.reply import HEADERS, empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import byte_stream, json_lines
from cove.units import parse_size
from cove.wire.builds import BuildCachePruned, BuildOptions, CacheMountsImported
from cove.wire.coding import decode
from cove.wire.host_config import Ulimit
from cove.wire.images import AuthConfig, Progress
from cove.wire.streams import Stream

CONTENT_TYPES = ("application/x-tar", "application/tar", "application/octet-stream", "")
MOST_AUTHS = 1 << 20
"""Bytes of the header with credentials."""


class Builds(Protocol):
    """Makes images of contexts. ``chunks``: the context, a tar; nothing when ``options.remote`` is given."""

    def build(self, chunks: AsyncIterator[bytes], options: BuildOptions) -> AsyncIterator[Progress]:
        """The classic stream. Raises InvalidArgument before the first line, for what no build can begin with."""

    async def prune(self, *, all: bool, reserved: int, filters: Filters) -> BuildCachePruned:
        """Forget what the cache has. ``reserved``: bytes that may stay."""

    def export_mounts(self) -> AsyncIterator[bytes]:
        """A tar.zst of all cache mounts."""

    async def import_mounts(self, chunks: AsyncIterator[bytes]) -> CacheMountsImported:
        """Take the cache mounts of an archive that have no files here. Raises InvalidArgument."""

    async def cancel(self, build: str) -> None:
        """End the build of this id, if there is one."""

    async def lend_secret(self, build: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Give a build that is going to begin a secret. Raises InvalidArgument for one that is too long."""

    async def lend_context(self, build: str, name: str, remote: str, chunks: AsyncIterator[bytes]) -> None:
        """Give it a named context: a tar, or what ``remote`` names."""

    async def announce_agent(self, build: str, name: str) -> None:
        """The client has an ssh agent, and is going to wait for programs that want it."""

    async def agent(self, build: str, name: str) -> Stream:
        """Wait for the next program that wants the agent; its connection. Raises Unavailable when the build ends."""


class BuildRoutes:
    def __init__(self, builds: Builds) -> None:
        self._builds = builds

    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/build", self.build, stream=True),
            Route("POST", "/build/prune", self.prune),
            Route("POST", "/build/cancel", self.cancel),
            Route("GET", "/cove/cache-mounts", self.export_mounts),
            Route("POST", "/cove/cache-mounts", self.import_mounts, stream=True),
            Route("POST", "/cove/builds/{id}/secrets", self.lend_secret, stream=True),
            Route("POST", "/cove/builds/{id}/contexts", self.lend_context, stream=True),
            Route("POST", "/cove/builds/{id}/agents", self.announce_agent),
            Route("POST", "/cove/builds/{id}/agent", self.agent, stream=True),
        )

    async def build(self, request: Request) -> web.StreamResponse:
        return await json_lines(request, self._builds.build(request.chunks(), build_options(request)))

    async def prune(self, request: Request) -> web.StreamResponse:
        reserved = request.integer("reserved-space") or request.integer("keep-storage")
        pruned = await self._builds.prune(all=request.flag("all"), reserved=reserved, filters=request.filters())
        return reply(pruned, request.version)

    async def cancel(self, request: Request) -> web.StreamResponse:
        await self._builds.cancel(request.text("id"))
        return empty_reply(204)

    async def export_mounts(self, request: Request) -> web.StreamResponse:
        return await byte_stream(request, self._builds.export_mounts(), {**HEADERS, "Content-Type": "application/zstd"})

    async def import_mounts(self, request: Request) -> web.StreamResponse:
        return reply(await self._builds.import_mounts(request.chunks()), request.version)

    async def lend_secret(self, request: Request) -> web.StreamResponse:
        await self._builds.lend_secret(request.variable("id"), request.text("name"), request.chunks())
        return empty_reply(204)

    async def lend_context(self, request: Request) -> web.StreamResponse:
        remote = request.text("remote")
        await self._builds.lend_context(request.variable("id"), request.text("name"), remote, request.chunks())
        return empty_reply(204)

    async def announce_agent(self, request: Request) -> web.StreamResponse:
        await self._builds.announce_agent(request.variable("id"), request.text("name"))
        return empty_reply(204)

    async def agent(self, request: Request) -> web.StreamResponse:
        """The head of the answer goes out when there is a program to be connected to."""
        stream = await self._builds.agent(request.variable("id"), request.text("name"))
        hijack.begin(request, tty=True)
        return await hijack.connect(request, stream)


def build_options(request: Request) -> BuildOptions:
    """Everything that the query and the headers say. Raises InvalidArgument naming the parameter."""
    if request.text("version") == "2":
        raise InvalidArgument("builds with BuildKit need its session; this engine has the classic builder here")
    return BuildOptions(
        dockerfile=request.text("dockerfile") or "Dockerfile",
        tags=tuple(request.texts("t")),
        remote=request.text("remote"),
        quiet=request.flag("q"),
        no_cache=request.flag("nocache"),
        no_cache_filter=tuple(request.texts("nocachefilter")),
        cache_from=tuple(_json(request, "cachefrom", list)),
        cache_to=tuple(_plain(item) for item in _json(request, "cacheto", list)),
        pull=request.flag("pull"),
        remove=request.flag("rm", default=True),
        force_remove=request.flag("forcerm"),
        memory=request.integer("memory"),
        memory_swap=request.integer("memswap"),
        cpu_shares=request.integer("cpushares"),
        cpu_period=request.integer("cpuperiod"),
        cpu_quota=request.integer("cpuquota"),
        cpuset_cpus=request.text("cpusetcpus"),
        cpuset_mems=request.text("cpusetmems"),
        cgroup_parent=request.text("cgroupparent"),
        shm_size=_shm_size(request),
        ulimits=tuple(_ulimit(item) for item in _json(request, "ulimits", list)),
        network=request.text("networkmode"),
        extra_hosts=_extra_hosts(request),
        security_opt=tuple(_json(request, "securityopt", list)),
        isolation=request.text("isolation"),
        arguments=_json(request, "buildargs", dict),
        labels=_json(request, "labels", dict),
        attestations=_json(request, "attestations", dict),
        vcs=_json(request, "vcs", dict),
        annotations=_json(request, "annotations", dict),
        platforms=tuple(platform for text in request.texts("platform") for platform in text.split(",") if platform),
        target=request.text("target"),
        squash=request.flag("squash"),
        outputs=tuple(_output(item) for item in _json(request, "outputs", list)),
        auths=_auths(request),
        allow=tuple(request.texts("allow")),
        events=request.flag("events"),
        dialect=request.text("dialect"),
        debug=request.flag("debug"),
        build=request.text("buildid"),
        stored_as=request.text("storedas"),
    )


def _json(request: Request, name: str, kind: type[Any]) -> Any:
    """A parameter that is JSON; empty when it is absent or null."""
    text = request.text(name)
    if not text:
        return kind()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"error reading build {name}: {error}") from error
    if found is None:
        return kind()
    if not isinstance(found, kind):
        raise InvalidArgument(f"error reading build {name}: not a JSON {'object' if kind is dict else 'array'}")
    _check_strings(name, found)
    return found


def _check_strings(name: str, found: Any) -> None:
    values = found.values() if isinstance(found, dict) else found
    if name in ("ulimits", "outputs", "cacheto"):
        if not all(isinstance(value, dict) for value in values):
            raise InvalidArgument(f"error reading build {name}: not a list of objects")
    elif not all(isinstance(value, str) or (value is None and name == "buildargs") for value in values):
        raise InvalidArgument(f"error reading build {name}: a value is no string")


def _ulimit(item: Mapping[str, Any]) -> Ulimit:
    try:
        return Ulimit(name=str(item["Name"]), soft=int(item["Soft"]), hard=int(item["Hard"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidArgument(f"error reading build ulimits: {error}") from error


def _output(item: Mapping[str, Any]) -> dict[str, str]:
    """One output, its type beside its attributes."""
    attributes = item.get("Attrs") or {}
    if not isinstance(attributes, dict):
        raise InvalidArgument("error reading build outputs: Attrs is no object")
    found = {str(name): str(value) for name, value in attributes.items()}
    return {"type": str(item.get("Type", "")), **found} if item.get("Type") != "moby" else found


def _plain(item: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in item.items()}


def _shm_size(request: Request) -> int:
    text = request.text("shmsize")
    if not text:
        return 0
    size = parse_size(text)
    if size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    return size


def _extra_hosts(request: Request) -> tuple[str, ...]:
    """Clients send one parameter for each, or a JSON list."""
    texts = request.texts("extrahosts")
    if len(texts) == 1 and texts[0].startswith("["):
        return tuple(_json(request, "extrahosts", list))
    return tuple(re.sub("^([^:=]+)=", r"\1:", host) for text in texts for host in text.split(",") if host)


def _auths(request: Request) -> dict[str, AuthConfig]:
    """Credentials by registry, of ``X-Registry-Config``; what cannot be read is nothing, as with Docker."""
    text = request.raw.headers.get("X-Registry-Config", "")
    if not text or len(text) > MOST_AUTHS:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return {name: decode(json.dumps(value).encode(), AuthConfig) for name, value in found.items()}
    except (ValueError, AttributeError, binascii.Error, InvalidArgument):
        return {}
