"""The API over TCP with certificates: both command lines, with streams in both directions; nobody else is served."""

import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from harness.certificates import certificate
from harness.daemon import Daemon
from harness.engine import BIN

pytestmark = pytest.mark.needs("cove")

ADDRESS = "tcp://127.0.0.1:2376"


class Served:
    """A daemon on the loopback of its namespace; ``keys``: where the certificates are."""

    def __init__(self, daemon: Daemon, keys: Path) -> None:
        self._daemon = daemon
        self._keys = keys

    def run(self, client: str, who: str, *words: str, input: str = "") -> CompletedProcess[str]:
        """A command line with the certificate of ``who``, or with none."""
        program = "docker" if client == "docker" else str(BIN / "cove")
        files = [("cacert", "ca.pem"), *([("cert", f"{who}.pem"), ("key", f"{who}.key")] if who else [])]
        flags = ["--tlsverify", *(f"--tls{name}={self._keys / file}" for name, file in files)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COVE_"))}
        return self._daemon.netns.run(
            [program, "-H", ADDRESS, *flags, *words], env=environment, input=input, check=False
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    keys = tmp_path_factory.mktemp("keys")
    certificate(keys, "ca")
    for name in ("daemon", "client"):
        certificate(keys, name, "ca")
    certificate(keys, "stranger")
    files = (f"--tlscacert={keys}/ca.pem", f"--tlscert={keys}/daemon.pem", f"--tlskey={keys}/daemon.key")
    daemon = Daemon(f"cove-test-{os.getpid()}-tls", f"--host={ADDRESS}", "--tlsverify", *files)
    try:
        daemon.start()
        daemon.load_base_image()
        yield Served(daemon, keys)
    finally:
        daemon.close()


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_a_client_with_a_certificate(served: Served, client: str) -> None:
    done = served.run(
        client, "client", "run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo err >&2; exit 3", input="in"
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "in", "err\n")
    made = served.run(client, "client", "run", "-d", "busybox", "sh", "-c", "echo logged; sleep 600").stdout.strip()
    assert served.run(client, "client", "exec", made, "echo", "inside").stdout == "inside\n"
    assert served.run(client, "client", "exec", "-i", made, "wc", "-c", input="x" * 300_000).stdout.strip() == "300000"
    assert served.run(client, "client", "logs", made).stdout == "logged\n"
    assert served.run(client, "client", "rm", "-f", made).returncode == 0


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_much_in_both_directions(served: Served, client: str) -> None:
    """More than is held on the way: who writes waits for who reads, and neither for ever."""
    text = "".join(f"{number}\n" for number in range(400_000))
    assert served.run(client, "client", "run", "--rm", "-i", "busybox", "cat", input=text).stdout == text


@pytest.mark.parametrize("client", ["docker", "cove"])
@pytest.mark.parametrize("who", ["", "stranger"])
def test_nobody_else(served: Served, client: str, who: str) -> None:
    done = served.run(client, who, "ps")
    assert done.returncode == 1
    assert "error during connect" in done.stderr and "tls: " in done.stderr


def test_files_that_are_not_there_are_named(served: Served) -> None:
    done = served.run("cove", "nobody", "ps")
    assert done.returncode == 1 and "nobody.pem" in done.stderr and "No such file" in done.stderr


def test_info_has_no_warning_of_it(served: Served) -> None:
    assert "API is accessible" not in served.run("docker", "client", "info").stderr
