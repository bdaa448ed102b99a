"""What the cache keeps of a build, and for how long: what depends on nothing below, what travels, what is forgotten."""

import contextlib
import hashlib
import json
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "f").write_text("hello\n")
    return tmp_path


def explained(engine: Engine, context: Path, dockerfile: str, *flags: str) -> dict[str, str]:
    """HIT or MISS of each step, by its instruction."""
    (context / "Dockerfile").write_text(dockerfile)
    lines = engine.cove("build", "-q", "--explain", *flags, str(context)).out.splitlines()[:-1]
    told = [line.split(maxsplit=1) for line in lines if not line.startswith(" ")]
    return {name.rpartition("] ")[2]: verdict for verdict, name in told}


def test_a_linked_copy_does_not_depend_on_its_base(daemon: Engine, context: Path) -> None:
    text = "FROM busybox\nRUN echo {} >/base\nCOPY --link f /linked\nCOPY f /plain\n"
    explained(daemon, context, text.format("one"))
    told = explained(daemon, context, text.format("two"))
    assert told == {"RUN echo two >/base": "MISS", "COPY --link f /linked": "HIT", "COPY f /plain": "MISS"}


def test_min_has_the_steps_of_the_image_and_max_all(daemon: Engine, context: Path, tmp_path: Path) -> None:
    text = "FROM busybox AS other\nRUN echo made >/made\nFROM busybox\nCOPY --from=other /made /\nRUN echo last\n"
    for mode, verdict in (("min", "MISS"), ("max", "HIT")):
        explained(daemon, context, text, "--cache-to", f"type=local,dest={tmp_path}/{mode},mode={mode}")
        daemon.cove("builder", "prune", "-a", "-f")
        told = explained(daemon, context, text, "--cache-from", f"type=local,src={tmp_path}/{mode}")
        assert told["RUN echo made >/made"] == verdict
        assert told["COPY --from=other /made /"] == told["RUN echo last"] == "HIT"
        daemon.cove("builder", "prune", "-a", "-f")


def test_a_cache_that_cannot_be_had_is_no_reason_not_to_build(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nCOPY f /\n")
    done = daemon.cove("build", "--progress=plain", "--cache-from", "made:nothing", str(context))
    assert done.code == 0
    daemon.docker("tag", "busybox", "made:ordinary")
    assert daemon.docker("build", "--cache-from", "made:ordinary", str(context)).code == 0
    done = daemon.cove("build", "--cache-from", f"type=local,src={context}/nothing", str(context), check=False)
    assert done.code == 1 and "no such file or directory" in done.err


@pytest.mark.parametrize("flag", ["--cache-from", "--cache-to"])
def test_kinds_of_caches_that_there_are_not(daemon: Engine, context: Path, flag: str) -> None:
    (context / "Dockerfile").write_text("FROM busybox\n")
    done = daemon.cove("build", flag, "type=s3,bucket=b", str(context), check=False)
    assert done.code == 1 and f"invalid value for {flag}: type=s3,bucket=b" in done.err


def test_prune_leaves_what_was_used_last(daemon: Engine, context: Path) -> None:
    daemon.cove("builder", "prune", "-a", "-f")
    for number in range(3):
        (context / "f").write_bytes(bytes([number]) * 300_000)
        explained(daemon, context, "FROM scratch\nCOPY f /\n")
    daemon.docker("image", "prune", "-f")
    assert "Deleted" not in daemon.cove("builder", "prune", "-f", "--keep-storage", "950kb").out
    assert daemon.cove("builder", "prune", "-f", "--filter", "until=1h").out.strip() == "Total reclaimed space: 0B"
    daemon.cove("builder", "prune", "-f", "--keep-storage", "650kb")
    assert explained(daemon, context, "FROM scratch\nCOPY f /\n") == {"COPY f /": "HIT"}
    (context / "f").write_bytes(bytes([0]) * 300_000)
    assert explained(daemon, context, "FROM scratch\nCOPY f /\n") == {"COPY f /": "MISS"}


def test_proxies_are_in_neither_history_nor_cache(daemon: Engine, context: Path) -> None:
    text = "FROM busybox\nARG OTHER\nRUN echo proxy $HTTP_PROXY $no_proxy >/said\n"
    flags = ("-t", "made:proxied", "--build-arg", "OTHER=x", "--build-arg", "no_proxy=host")
    explained(daemon, context, text, *flags, "--build-arg", "HTTP_PROXY=http://secret-proxy:1")
    assert daemon.docker("run", "--rm", "made:proxied", "cat", "/said").out == "proxy http://secret-proxy:1 host\n"
    history = daemon.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", "made:proxied").out
    assert "OTHER=x" in history and "secret-proxy" not in history
    assert "secret-proxy" not in daemon.docker("inspect", "made:proxied").out
    told = explained(daemon, context, text, *flags, "--build-arg", "HTTP_PROXY=http://another:1")
    assert set(told.values()) == {"HIT"}
    declared = text.replace("ARG OTHER", "ARG OTHER HTTP_PROXY")
    explained(daemon, context, declared, *flags, "--build-arg", "HTTP_PROXY=http://declared:1")
    history = daemon.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", "made:proxied").out
    assert "HTTP_PROXY=http://declared:1" in history


def test_fifty_stages(daemon: Engine, context: Path) -> None:
    """Each takes files of two before it; those that the last does not need are not built."""
    stages = ["FROM busybox AS s0\nRUN echo 1 >/n\n", "FROM busybox AS s1\nRUN echo 1 >/n\n"]
    for number in range(2, 50):
        copies = "".join(f"COPY --from=s{number - back} /n /n{back}\n" for back in (1, 2))
        stages.append(f"FROM busybox AS s{number}\n{copies}RUN echo $(($(cat /n1) + $(cat /n2))) >/n\n")
        stages.append(f"FROM busybox AS unused{number}\nRUN exit 1\n")
    text = "".join(stages[:-1])
    told = explained(daemon, context, text, "-t", "made:fifty")
    assert len(told) > 90
    assert daemon.docker("run", "--rm", "made:fifty", "cat", "/n").out == f"{_fibonacci(50)}\n"
    assert set(explained(daemon, context, text).values()) == {"HIT"}


def _fibonacci(count: int) -> int:
    one, two = 1, 1
    for _ in range(count - 1):
        one, two = two, one + two
    return one


def test_the_platform_of_a_stage(daemon: Engine, context: Path) -> None:
    text = "FROM --platform=linux/arm64 scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH\n"
    explained(daemon, context, text, "-t", "made:of")
    inspected = json.loads(daemon.docker("inspect", "made:of").out)[0]
    assert inspected["Architecture"] == "arm64"


def test_a_step_that_is_written_twice_is_done_twice(daemon: Engine, tmp_path: Path) -> None:
    """Though the first has changed no file; the next build has both from the cache."""
    counting = "RUN --mount=type=cache,target=/c echo x >>/c/lines"
    again = "RUN --mount=type=cache,target=/c true"
    (tmp_path / "Dockerfile").write_text(
        f"FROM busybox\n{counting}\n{again}\n{counting}\nRUN --mount=type=cache,target=/c cat /c/lines >/counted\n"
    )
    for cached in (1, 5):
        said = daemon.cove("build", "--progress", "plain", "-t", "made:twice", str(tmp_path)).err
        assert said.count(" CACHED") == cached
        assert daemon.docker("run", "--rm", "made:twice", "cat", "/counted").out == "x\nx\n"


def test_prune_takes_what_is_older(daemon: Engine, tmp_path: Path) -> None:
    """``until`` of a time that has passed since the last use, and not of one that has not."""
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo old >/x\n")
    daemon.cove("build", "-q", "-o", "type=cacheonly", str(tmp_path))
    before = _records(daemon)
    assert before
    daemon.cove("builder", "prune", "-a", "-f", "--filter", "until=1h")
    assert _records(daemon) == before
    last = max(datetime.fromisoformat(record["LastUsedAt"]).timestamp() for record in before.values())
    eventually(lambda: time.time() > last + 2)
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo new >/x\n")
    daemon.cove("build", "-q", "-o", "type=cacheonly", str(tmp_path))
    new = set(_records(daemon)) - set(before)
    assert new
    out = daemon.docker("builder", "prune", "-a", "-f", "--filter", f"until={last + 1}").out
    assert set(_records(daemon)) == new
    assert "Deleted build cache objects:" in out and all(name in out for name in before)


def _records(engine: Engine) -> dict[str, dict[str, Any]]:
    usage = json.loads(engine.http("GET", "/v1.41/system/df?type=build-cache").body)
    return {record["ID"]: record for record in usage["BuildCache"] or ()}


def test_chmod_of_an_older_version_is_built_anew(fresh_daemon: Daemon, context: Path) -> None:
    """It gave new directories no mode; what has no --chmod is taken from its cache."""
    text = "FROM busybox\nCOPY --chmod=700 f /to/f\n"
    plain = "FROM busybox\nCOPY f /plain/f\n"
    explained(fresh_daemon, context, text)
    explained(fresh_daemon, context, plain)
    fresh_daemon.stop()
    with contextlib.closing(sqlite3.connect(fresh_daemon.data_root / "cove.db")) as database, database:
        for key, text_of in database.execute("SELECT key, CAST(record AS TEXT) FROM build_cache").fetchall():
            record = json.loads(text_of)
            record["parts"].pop("modes", None)
            canonical = json.dumps(record["parts"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            record["key"] = hashlib.sha256(canonical.encode()).hexdigest()
            row = (record["key"], json.dumps(record).encode(), key)
            database.execute("UPDATE build_cache SET key = ?, record = ? WHERE key = ?", row)
    fresh_daemon.start()
    assert explained(fresh_daemon, context, plain) == {"COPY f /plain/f": "HIT"}
    assert explained(fresh_daemon, context, text) == {"COPY --chmod=700 f /to/f": "MISS"}
