"""Many clients at one container at once: whoever is second gets a clear answer, and nothing is lost or left behind."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from harness.engine import Engine

pytestmark = [pytest.mark.needs("cove")]

CLIENTS = 16
SECONDS = 6
NAMES = ("race0", "race1", "race2")
LONGEST_ANSWER = 20


class Client:
    """Sends requests that contend for the same few names, and keeps what no client should see."""

    def __init__(self, session: aiohttp.ClientSession, seed: int) -> None:
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()
        self._session = session
        self._random = random.Random(seed)

    async def run(self, goes_on: Callable[[], bool]) -> None:
        while goes_on():
            await self._act(self._random.choice(NAMES), self._random.choice(NAMES))

    async def _act(self, name: str, other: str) -> None:
        here = f"/containers/{name}"
        method, target, body = self._random.choice(
            [
                ("POST", f"/containers/create?name={name}", self._wish()),
                ("POST", f"/containers/create?name={name}", self._wish()),
                ("POST", f"{here}/start", None),
                ("POST", f"{here}/start", None),
                ("POST", f"{here}/stop?t=0", None),
                ("POST", f"{here}/restart?t=0", None),
                ("POST", f"{here}/kill", None),
                ("POST", f"{here}/pause", None),
                ("POST", f"{here}/unpause", None),
                ("POST", f"{here}/rename?name={other}", None),
                ("POST", f"{here}/update", {"RestartPolicy": {"Name": "no"}}),
                ("POST", "/networks/race/connect", {"Container": name}),
                ("POST", "/networks/race/disconnect", {"Container": name}),
                ("POST", f"{here}/exec", {"Cmd": ["true"]}),
                ("DELETE", here, None),
                ("DELETE", f"{here}?force=1", None),
                ("GET", "/containers/json?all=1", None),
                ("GET", f"{here}/json", None),
            ]
        )
        await self._send(method, target, body)

    def _wish(self) -> dict[str, Any]:
        return {
            "Image": "busybox",
            "Cmd": ["sleep", self._random.choice(["60", "0.05"])],
            "HostConfig": {
                "AutoRemove": self._random.random() < 0.3,
                "PortBindings": {"80/tcp": [{}]} if self._random.random() < 0.5 else {},
            },
        }

    async def _send(self, method: str, target: str, body: Any) -> None:
        try:
            async with self._session.request(method, f"http://engine{target}", json=body) as answer:
                text = await answer.text()
        except TimeoutError:
            self.wrong.append(f"{method} {target}: no answer")
            return
        if answer.status >= 500:
            self.wrong.append(f"{method} {target}: {answer.status} {text}")
        self.done[f"{method} {target.split('?')[0].split('/')[-1].rstrip('012')}"] += answer.status < 300


async def _race(engine: Engine) -> list[str]:
    connector = aiohttp.UnixConnector(path=str(engine.socket), limit=0)
    timeout = aiohttp.ClientTimeout(total=LONGEST_ANSWER)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        clients = [Client(session, seed) for seed in range(CLIENTS)]
        end = time.monotonic() + SECONDS
        await asyncio.gather(*(client.run(lambda: time.monotonic() < end or not _busy(clients)) for client in clients))
    return [each for client in clients for each in client.wrong]


def _busy(clients: list[Client]) -> bool:
    """Whether each of these has been done more than a few times."""
    done = sum((client.done for client in clients), Counter[str]())
    return min(done[what] for what in ("POST create", "POST start", "POST rename", "DELETE race")) > 3


def test_many_clients_and_few_names(daemon: Engine) -> None:
    daemon.docker("network", "create", "race")
    wrong = asyncio.run(_race(daemon))
    assert not wrong, "\n".join(wrong[:20])
    for name in NAMES:  # whatever became of the containers, their names are free once they are removed
        daemon.docker("rm", "-f", name, check=False)
        daemon.docker("run", "--rm", "--name", name, "busybox", "true")


async def _made_and_removed(engine: Engine) -> list[str]:
    """Clients that make a network and clients that remove it, all under one name; what no client should see."""
    wrong: list[str] = []
    connector = aiohttp.UnixConnector(path=str(engine.socket), limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def again(method: str, target: str, body: Any) -> None:
            for _ in range(15):
                async with session.request(method, f"http://engine{target}", json=body) as answer:
                    if answer.status >= 500:
                        wrong.append(f"{method} {target}: {answer.status} {await answer.text()}")

        making = [again("POST", "/networks/create", {"Name": "brief"}) for _ in range(3)]
        removing = [again("DELETE", "/networks/brief", None) for _ in range(3)]
        await asyncio.gather(*making, *removing)
    return wrong


def test_a_network_that_is_removed_while_it_is_made(daemon: Engine) -> None:
    """Both are done one after the other; the leak check looks for bridges without a network."""
    assert not asyncio.run(_made_and_removed(daemon))


def test_an_update_of_what_ends_meanwhile_holds_for_the_next_start(daemon: Engine) -> None:
    for number in range(20):
        name = f"brief{number}"
        daemon.docker("create", "--name", name, "busybox", "true")
        assert daemon.http("POST", f"/containers/{name}/start").status == 204
        answer = daemon.http("POST", f"/containers/{name}/update", {"Memory": 64 << 20, "MemorySwap": -1})
        assert answer.status == 200, answer.body
        assert daemon.http("GET", f"/containers/{name}/json").json()["HostConfig"]["Memory"] == 64 << 20


def test_a_program_may_end_before_it_has_read_all_that_comes(daemon: Engine) -> None:
    for _ in range(20):
        done = daemon.docker("run", "--rm", "-i", "busybox", "head", "-c", "5", input="x" * 300_000)
        assert done.out == "xxxxx"
