"""What is measured: one row per thing that a user waits for."""

from bench import builds, files, images, many, pulls, volumes
from bench.measure import Row, client, docker
from bench.root_tar import root_tar
from harness.engine import BIN, Engine

MANY = 50


def _start_sleeper(engine: Engine) -> None:
    docker(engine, "run", "-d", "--name", "sleeper", "busybox", "sleep", "86400")


def _remove_sleeper(engine: Engine) -> None:
    docker(engine, "rm", "-f", "sleeper")


def _remove_one(engine: Engine) -> None:
    docker(engine, "rm", "-f", "one")


def _create_over_http(engine: Engine) -> None:
    """What the engine itself takes, without the command line, which is most of a ``docker create``."""
    answer = engine.http("POST", "/containers/create?name=one", {"Image": "busybox", "Cmd": ["true"]})
    assert answer.status == 201, answer


def _names() -> list[str]:
    return [f"many{number}" for number in range(MANY)]


def _start_many(engine: Engine) -> None:
    for name in _names():
        docker(engine, "run", "-d", "--name", name, "busybox", "sleep", "86400")


def _remove_many(engine: Engine) -> None:
    docker(engine, "rm", "-f", *_names())


def _version(engine: Engine) -> None:
    client(engine, str(BIN / "cove") if engine.cli == "cove" else "docker", "version")


def _create_network(engine: Engine) -> None:
    docker(engine, "network", "create", "bench-user")


def _remove_network(engine: Engine) -> None:
    docker(engine, "network", "rm", "bench-user")


def _create_and_remove_network(engine: Engine) -> None:
    _create_network(engine)
    _remove_network(engine)


def _network_over_http(engine: Engine) -> None:
    """The same without the command line, which takes more of it than the engine."""
    answer = engine.http("POST", "/networks/create", {"Name": "bench-user"})
    assert answer.status == 201, answer
    assert engine.http("DELETE", "/networks/bench-user").status == 204


def _run(*flags: str) -> Row:
    name = " ".join(["run --rm", *flags])
    return Row(name, lambda engine: docker(engine, "run", "--rm", *flags, "busybox", "true"), target=0.25)


LOGGED = 200
"""Megabytes that a container writes for the rows of logs; the ratio is that of 1000."""

WRITE = f"yes 'a typical line of a log, with some words in it and a number 0123456789' | head -c {LOGGED}000000"


def _write_log(engine: Engine, *flags: str) -> None:
    """Both engines rotate: what is measured is writing, not a disk that fills."""
    rotated = ("--log-opt", "max-size=20m", "--log-opt", "max-file=5")
    docker(engine, "run", "-d", "--name", "one", "--net", "none", *rotated, *flags, "busybox", "sh", "-c", WRITE)
    docker(engine, "wait", "one")


ROWS = (
    Row(f"log of {LOGGED} MB, json-file", _write_log, reset=_remove_one, target=0.5),
    Row(
        f"log of {LOGGED} MB, local, not compressed",
        lambda engine: _write_log(engine, "--log-driver", "local", "--log-opt", "compress=false"),
        reset=_remove_one,
    ),
    _run(),
    _run("--net", "none"),
    _run("--net", "none", "--security-opt", "seccomp=unconfined"),
    _run("-p", "8080:80"),
    _run("--net", "bench-user")._replace(before=_create_network, after=_remove_network),
    Row("network create and rm", _create_and_remove_network, target=0.3),
    Row("network create and rm, over HTTP", _network_over_http, target=0.3),
    Row(
        "exec",
        lambda engine: docker(engine, "exec", "sleeper", "true"),
        before=_start_sleeper,
        after=_remove_sleeper,
        target=0.45,
    ),
    Row(
        "create",
        lambda engine: docker(engine, "create", "--name", "one", "busybox", "true"),
        reset=_remove_one,
        target=0.6,
    ),
    Row("create, over HTTP", _create_over_http, reset=_remove_one, target=0.6),
    Row(
        "run -d",
        lambda engine: docker(engine, "run", "-d", "--name", "one", "busybox", "sleep", "86400"),
        reset=_remove_one,
    ),
    Row(f"{MANY} x run -d", _start_many, reset=_remove_many, target=0.25),
    Row(f"rm -f of {MANY}", _remove_many, before=_start_many, reset=_start_many, after=_remove_many),
    Row(
        "import of 250 MB",
        lambda engine: docker(engine, "import", str(root_tar()), "bench-import"),
        reset=lambda engine: docker(engine, "rmi", "bench-import"),
        target=0.3,
    ),
    *images.ROWS,
    *many.ROWS,
    *builds.ROWS,
    *files.ROWS,
    *pulls.ROWS,
    *volumes.ROWS,
    Row("version (own command line)", _version, target=2.5),
)
