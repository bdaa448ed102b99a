"""Base images of builds that are here and have changed at their registry: ``--pull``."""

from pathlib import Path

import pytest

from harness.engine import Engine
from harness.registries import served


def _base(daemon: Engine, context: Path, name: str, word: str) -> str:
    """Make an image of a word, and push it; its id."""
    (context / "Base").write_text(f"FROM busybox\nRUN echo {word} >/word\n")
    daemon.cove("build", "-q", "-t", name, "-f", str(context / "Base"), str(context))
    daemon.docker("push", "-q", name)
    return daemon.docker("inspect", "-f", "{{.Id}}", name).out.strip()


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_pull_asks_the_registry_for_what_is_here(daemon: Engine, tmp_path: Path, client: str) -> None:
    run = getattr(daemon, client)
    assert callable(run)

    def word(*flags: str) -> str:
        image = run("build", "-q", *flags, str(tmp_path)).out.strip()
        return daemon.docker("run", "--rm", image, "cat", "/seen").out

    with served(daemon, "cove") as registry:
        name = f"{registry.host}/team/base:1"
        old = _base(daemon, tmp_path, name, "one")
        _base(daemon, tmp_path, name, "two")
        daemon.docker("tag", old, name)
        (tmp_path / "Dockerfile").write_text(f"FROM {name}\nRUN cp /word /seen\n")
        assert word() == "one\n"
        assert word("--pull") == "two\n"
        assert word() == "two\n"
    assert word() == "two\n"
    done = run("build", "--pull", str(tmp_path), check=False)
    assert done.code == 1 and registry.host in done.err
    daemon.docker("rmi", name)


def test_pull_is_for_every_stage(daemon: Engine, tmp_path: Path) -> None:
    """What a later stage begins with, and what COPY --from names."""
    with served(daemon, "cove") as registry:
        first, later = f"{registry.host}/team/first:1", f"{registry.host}/team/later:1"
        _base(daemon, tmp_path, first, "first")
        old = _base(daemon, tmp_path, later, "one")
        _base(daemon, tmp_path, later, "two")
        for text in (
            f"FROM {first} AS first\nFROM {later}\nCOPY --from=first /word /first\nRUN cp /word /seen\n",
            f"FROM {first}\nCOPY --from={later} /word /seen\n",
        ):
            daemon.docker("tag", old, later)
            (tmp_path / "Dockerfile").write_text(text)
            for flags, word in (([], "one\n"), (["--pull"], "two\n")):
                image = daemon.cove("build", "-q", *flags, str(tmp_path)).out.strip()
                assert daemon.docker("run", "--rm", image, "cat", "/seen").out == word
        daemon.docker("rmi", first, later)
