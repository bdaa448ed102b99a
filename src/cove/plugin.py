"""A plug-in of Docker's protocol: a program that answers JSON over HTTP, mostly on a unix socket.

Found by its name, without asking anybody before it is needed: ``NAME.sock`` (or ``NAME/NAME.sock``) in a directory of
sockets, else an address in ``NAME.spec``, or ``NAME.json`` with what TLS needs.
"""

import asyncio
import json
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from cove.errors import Internal, NotFound

SOCKETS = Path("/run/docker/plugins")
SPECS = (Path("/etc/docker/plugins"), Path("/usr/lib/docker/plugins"))
VERSION = "application/vnd.docker.plugins.v1.2+json"

TIMEOUT = 120.0
"""Seconds for one answer, Docker's."""

MAX_ANSWER = 16 << 20


class Tls(msgspec.Struct):
    """``TLSConfig`` of a .json file."""

    insecure: bool = msgspec.field(name="InsecureSkipVerify", default=False)
    ca: str = msgspec.field(name="CAFile", default="")
    cert: str = msgspec.field(name="CertFile", default="")
    key: str = msgspec.field(name="KeyFile", default="")


class Address(msgspec.Struct, rename={"address": "Addr", "tls": "TLSConfig"}):
    """A .json file. ``address``: ``unix:///path`` or ``tcp://host:port``."""

    address: str
    tls: Tls | None = None


class Plugin:
    """One plug-in; ``call`` connects anew each time, as whoever answers may have been started again."""

    def __init__(self, name: str, address: Address) -> None:
        self.name = name
        self._address = address

    async def call(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to ``VolumeDriver.Create`` and so on. Raises Internal with what the plug-in says is wrong."""
        try:
            answer = await asyncio.wait_for(self._post(method, body or {}), TIMEOUT)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise Internal(f"{method}: the plug-in {self.name} does not answer: {error or 'timed out'}") from error
        if answer.get("Err"):
            raise Internal(str(answer["Err"]))
        return answer

    async def _post(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        connector, base = self._connector()
        async with aiohttp.ClientSession(connector=connector) as session:
            data = json.dumps(body).encode()
            async with session.post(f"{base}/{method}", data=data, headers={"Accept": VERSION}) as response:
                text = await _bounded(response)
                try:
                    answer = json.loads(text or b"{}")
                except ValueError:
                    answer = {"Err": text.decode(errors="replace").strip()[:1000]}
                if not isinstance(answer, dict):
                    raise ValueError(f"{method}: an answer that is no object")
                if response.status != 200 and not answer.get("Err"):
                    answer["Err"] = f"{method}: status {response.status}"
                return answer

    def _connector(self) -> tuple[aiohttp.BaseConnector, str]:
        address = self._address.address
        if address.startswith("unix://"):
            return aiohttp.UnixConnector(path=address.removeprefix("unix://")), "http://plugin"
        host = address.removeprefix("tcp://").removeprefix("http://").removeprefix("https://")
        if self._address.tls is None:
            return aiohttp.TCPConnector(), f"http://{host}"
        return aiohttp.TCPConnector(ssl=_context(self._address.tls)), f"https://{host}"


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    text = bytearray()
    async for piece in response.content.iter_any():
        text += piece
        if len(text) > MAX_ANSWER:
            raise ValueError("an answer that does not end")
    return bytes(text)


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca or None)
    if tls.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key or None)
    return context


class Places:
    """Where plug-ins are looked for: the first one of a name counts. ``own``: a directory of this daemon alone."""

    def __init__(self, own: Path) -> None:
        self._sockets = (own, SOCKETS)
        self._specs = (own, *SPECS)

    def find(self, name: str) -> Plugin:
        """Raises NotFound in Docker's words, Internal for a file that cannot be understood."""
        if "/" not in name and not name.startswith("."):
            for file in self._files(name):
                if file.suffix == ".sock" and file.is_socket():
                    return Plugin(name, Address(f"unix://{file}"))
                if file.suffix != ".sock" and file.is_file():
                    return Plugin(name, _read(file))
        raise NotFound(f'plugin "{name}" not found')

    def names(self) -> list[str]:
        """Of all plug-ins that could be asked."""
        sockets = [path for place in self._sockets for path in (*place.glob("*.sock"), *place.glob("*/*.sock"))]
        specs = [path for place in self._specs for path in (*place.glob("*.spec"), *place.glob("*.json"))]
        return sorted({path.stem for path in (*sockets, *specs)})

    def _files(self, name: str) -> Iterable[Path]:
        for places, suffixes in ((self._sockets, ("sock",)), (self._specs, ("spec", "json"))):
            for place in places:
                for folder in (place, place / name):
                    yield from (folder / f"{name}.{suffix}" for suffix in suffixes)


def _read(file: Path) -> Address:
    try:
        if file.suffix == ".json":
            return msgspec.json.decode(file.read_bytes(), type=Address)
        return Address(file.read_text().strip())
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise Internal(f"the plug-in file {file}: {error}") from error
