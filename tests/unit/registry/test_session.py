"""How often a registry, its mirrors and other hosts are asked, and what each of them is shown."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cove.errors import CoveError
from cove.oci.image import LAYER_GZIP, Descriptor
from cove.registry.client.answered import Answered
from cove.registry.client.authorization import NOBODY, Credentials
from cove.registry.client.blobs import BlobReader
from cove.registry.client.session import Request, Session
from cove.registry.client.settings import Patience, Registries

CONTENT = b"some bytes of a layer"
DIGEST = f"sha256:{'0' * 64}"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
AT_ONCE = Patience(backoff=0.0)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """A web server at ``host`` that tells ``/v2/`` who it is; ``answer`` is for everything else that is ``asked``.

    ``connections``: the first byte of each; 0x16 is that of TLS.
    """

    def __init__(self, answer: Answer) -> None:
        self.host = ""
        self.asked: list[web.Request] = []
        self.connections: list[int] = []
        self._answer = answer

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.asked]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/v2/":
            return web.Response()
        self.asked.append(request)
        return await self._answer(request)


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    runner = web.ServerRunner(web.Server(server.handle))
    await runner.setup()

    async def first_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What comes goes to the server behind, and its answers back."""
        begin = await reader.read(1)
        server.connections.append(begin[0] if begin else -1)
        there, back = await asyncio.open_connection("127.0.0.1", inner)
        back.write(begin)
        await asyncio.gather(_pumped(reader, back), _pumped(there, writer))

    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    inner = runner.addresses[0][1]
    front = await asyncio.start_server(first_byte, "127.0.0.1", 0)
    server.host = f"127.0.0.1:{front.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        front.close()
        await runner.cleanup()


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()


def status(code: int) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code)

    return answer


async def broken(request: web.Request) -> web.StreamResponse:
    """The connection ends without an answer, upon which aiohttp asks once more at once."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def content(request: web.Request) -> web.StreamResponse:
    return web.Response(body=CONTENT)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def configured(root: Path, server: Server, *mirrors: str) -> Registries:
    """``registry.test`` is at ``server``, with these sections of its hosts file."""
    (root / "registry.test").mkdir()
    sections = "\n".join(mirrors)
    (root / "registry.test" / "hosts.toml").write_text(f'server = "http://{server.host}"\n{sections}\n')
    return Registries(insecure=("127.0.0.0/8",), certificates=(root,), patience=AT_ONCE)


async def ask(registries: Registries, path: str, host: str = "registry.test", who: Credentials = NOBODY) -> bytes:
    async with Session(host, who, registries) as session, session.request(Request("GET", path)) as response:
        return await response.read()


async def read(registries: Registries, blob: Descriptor) -> bytes:
    async with Session("registry.test", registries=registries) as session:
        return b"".join([piece async for piece in BlobReader(session, "a/b").stream(blob)])


def test_headers_of_a_mirror_are_for_it_alone(tmp_path: Path) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"http://{stranger.host}/there")

    async def work() -> None:
        nonlocal stranger
        async with (
            serving(content) as stranger,
            serving(status(404)) as own,
            serving(elsewhere) as near,
            serving(status(404)) as far,
        ):
            header = f'[host."http://{far.host}"]\n[host."http://{far.host}".header]\nx-team = "far"\n'
            other = f'[host."http://{near.host}"]\n[host."http://{near.host}".header]\nx-team = ["a", "b"]\n'
            registries = configured(tmp_path, own, header, other)
            assert await ask(registries, "a/b/blobs/x", who=Credentials("u", "p")) == CONTENT
            with pytest.raises(CoveError):
                await ask(registries._replace(certificates=()), "a/b/blobs/x", own.host)
        shown = [[request.headers.get("x-team") for request in each.asked] for each in (far, near, stranger, own)]
        assert shown == [["far"], ["a, b"], [None], [None]]
        assert not any("Authorization" in request.headers for request in [*near.asked, *stranger.asked])

    stranger: Any = None
    run(work())


@pytest.mark.parametrize(
    ("answer", "requests"),
    [(status(503), 1), (status(429), 1), (broken, 2)],
    ids=["error", "too many", "breaks off"],
)
def test_a_mirror_that_fails_is_not_asked_again_in_a_session(tmp_path: Path, answer: Answer, requests: int) -> None:
    async def work() -> None:
        async with serving(content) as own, serving(answer) as sick, serving(answer) as ill:
            registries = configured(tmp_path, own, *(f'[host."http://{each.host}"]' for each in (sick, ill)))
            async with Session("registry.test", registries=registries) as session:
                for number in range(3):
                    async with session.request(Request("GET", f"a/b/manifests/{number}")) as response:
                        assert await response.read() == CONTENT
        assert [len(each.asked) for each in (sick, ill, own)] == [requests, requests, 3]

    run(work())


def test_a_mirror_that_lacks_something_is_asked_for_the_next(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(content) as own, serving(status(404)) as near:
            registries = configured(tmp_path, own, f'[host."http://{near.host}"]')
            async with Session("registry.test", registries=registries) as session:
                for number in range(2):
                    async with session.request(Request("GET", f"a/b/manifests/{number}")):
                        pass
        assert len(near.asked) == len(own.asked) == 2

    run(work())


@pytest.mark.parametrize(("answer", "requests"), [(status(503), 1), (broken, 2)], ids=["error", "breaks off"])
def test_attempts_at_a_registry_do_not_multiply(tmp_path: Path, answer: Answer, requests: int) -> None:
    """Neither by its mirrors, nor for a blob, which is resumed too."""

    async def work() -> None:
        async with serving(answer) as own, serving(answer) as near:
            registries = configured(tmp_path, own, f'[host."http://{near.host}"]')
            with pytest.raises(CoveError):
                await ask(registries, "a/b/manifests/1")
            attempts = registries.attempts * requests
            assert [len(near.asked), len(own.asked)] == [requests, attempts]
            with pytest.raises(CoveError):
                await read(registries, Descriptor(LAYER_GZIP, DIGEST, len(CONTENT)))
            assert [len(near.asked), len(own.asked)] == [2 * requests, 2 * attempts]

    run(work())


def test_urls_of_a_foreign_layer_that_fail_are_left_out(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(status(404)) as own, serving(broken) as dead, serving(status(503)) as sick:
            registries = configured(tmp_path, own)
            urls = [f"http://{each.host}/{number}" for number in range(3) for each in (dead, sick)]
            layer = Descriptor(FOREIGN, DIGEST, len(CONTENT), urls=urls)
            with pytest.raises(CoveError, match="503"):
                await read(registries, layer)
        assert own.paths == [f"/v2/a/b/blobs/{DIGEST}"]
        assert dead.paths == ["/0", "/0", "/1", "/1", "/2", "/2"]
        assert sick.paths == ["/0", "/1", *["/2"] * registries.attempts]

    run(work())


def test_a_registry_on_the_loopback_is_asked_where_it_answered_last() -> None:
    async def work() -> None:
        registries = Registries(patience=AT_ONCE, answered=Answered())
        async with serving(content) as own:
            assert await ask(registries, "a/b/manifests/1", own.host) == CONTENT
            assert own.connections.count(0x16) == 1
            assert await ask(registries, "a/b/manifests/1", own.host) == CONTENT
            assert own.connections.count(0x16) == 1

    run(work())


@pytest.mark.parametrize("code", [429, 503, 400])
def test_where_it_answered_last_a_registry_may_be_busy(code: int) -> None:
    """Or something else than before; then it is looked for again."""

    async def at_first(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code if len(own.asked) == 2 else 200, body=CONTENT)

    async def work() -> None:
        nonlocal own
        registries = Registries(patience=AT_ONCE, answered=Answered())
        async with serving(at_first) as own:
            for _ in range(2):
                assert await ask(registries, "a/b/manifests/1", own.host) == CONTENT
            assert len(own.asked) == 3

    own: Any = None
    run(work())


def test_a_refusal_where_it_answered_last_is_taken_for_one() -> None:
    async def refusing(request: web.Request) -> web.StreamResponse:
        return web.Response(status=401 if len(own.asked) > 1 else 200, body=CONTENT)

    async def work() -> None:
        nonlocal own
        registries = Registries(patience=AT_ONCE, answered=Answered())
        async with serving(refusing) as own:
            assert await ask(registries, "a/b/manifests/1", own.host) == CONTENT
            with pytest.raises(CoveError, match="unauthorized"):
                await ask(registries, "a/b/manifests/1", own.host)
            assert len(own.asked) == 2

    own: Any = None
    run(work())


def test_an_address_that_takes_no_connection_is_given_up_soon() -> None:
    """As a host behind a firewall that drops what is sent to it: the queue of this one is full."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        registries = Registries(patience=AT_ONCE._replace(connecting=0.2))
        with pytest.raises(CoveError, match=f'"http://127.0.0.1:{address[1]}/v2/": .*Client.Timeout exceeded'):
            asyncio.run(ask(registries, "a/b/manifests/1", f"127.0.0.1:{address[1]}"))


def test_where_no_registry_answers_any_more_all_addresses_are_tried() -> None:
    async def work() -> None:
        async with serving(content) as own:
            registries = Registries(patience=AT_ONCE, answered=Answered())
            assert registries.answered is not None
            registries.answered.note(own.host, f"https://{own.host}")
            assert await ask(registries, "a/b/manifests/1", own.host) == CONTENT
            assert registries.answered.url(own.host) == f"http://{own.host}"

    run(work())


@pytest.mark.parametrize("challenge", ['Bearer realm="http://{host}/token",service="here"', 'Basic realm="here"'])
def test_requests_that_are_all_challenged_at_once(tmp_path: Path, challenge: str) -> None:
    """As by a registry whose ``/v2/`` is open. Each is refused once, and one token serves them all."""
    all_there = asyncio.Barrier(8)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return web.Response(body=b'{"token":"good"}')
        if "Authorization" in request.headers:
            return web.Response(body=CONTENT)
        await all_there.wait()
        return web.Response(status=401, headers={"WWW-Authenticate": challenge.format(host=own.host)})

    async def one(session: Session, number: int) -> bytes:
        request = Request("GET", f"a/b/blobs/{number}", ("repository:a/b:pull",))
        async with session.request(request) as response:
            return await response.read()

    async def work() -> None:
        nonlocal own
        async with serving(answer) as own:
            registries = configured(tmp_path, own)
            async with Session("registry.test", Credentials("u", "p"), registries) as session:
                assert await asyncio.gather(*(one(session, number) for number in range(8))) == [CONTENT] * 8
        assert own.paths.count("/token") == challenge.startswith("Bearer") and len(own.paths) <= 17

    own: Any = None
    run(work())
