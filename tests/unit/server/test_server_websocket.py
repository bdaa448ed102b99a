"""Attaching over a WebSocket."""

from typing import Any

import aiohttp


async def _conversation(path: str, container: str) -> list[bytes]:
    connector = aiohttp.UnixConnector(path)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"http://docker/containers/{container}/attach/ws?stream=1&stdin=1&stdout=1"
        async with session.ws_connect(url) as client:
            async with session.post(f"http://docker/containers/{container}/start") as started:
                assert started.status == 204
            await client.send_str("hello")
            first = await client.receive_bytes()
            async with session.post(f"http://docker/containers/{container}/kill") as killed:
                assert killed.status == 204
            return [first]


def test_websocket_echo(api: Any) -> None:
    container = api.run("cat", start=False)
    assert api.call(_conversation, api.path, container) == [b"hello"]


def test_websocket_ends_with_the_program(api: Any) -> None:
    container = api.run("echo", "bye", start=False)
    assert api.call(_listen, api.path, container) == [b"bye\n"]


async def _listen(path: str, container: str) -> list[bytes]:
    connector = aiohttp.UnixConnector(path)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"http://docker/containers/{container}/attach/ws?stream=1&stdout=1"
        async with session.ws_connect(url) as client:
            async with session.post(f"http://docker/containers/{container}/start"):
                pass
            return [message.data async for message in client]


def test_without_stream_only_what_was_is_sent(api: Any) -> None:
    container = api.run("echo", "bye")
    assert api.call(_earlier, api.path, container) == [b"bye\n"]


async def _earlier(path: str, container: str) -> list[bytes]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        url = f"http://docker/containers/{container}/attach/ws?logs=1&stdout=1"
        async with session.ws_connect(url) as client:
            return [message.data async for message in client]
