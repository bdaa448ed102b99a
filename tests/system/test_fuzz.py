"""Whatever is asked, an answer comes, and it is not that the engine broke.

COVE_FUZZ_EXAMPLES is how many requests of each operation and kind there are, COVE_FUZZ_SEED which ones.
"""

import os

import pytest

from harness.daemon import Daemon
from harness.fuzz import Fuzzer

pytestmark = [pytest.mark.needs("root", "cove", "docker-cli")]

EXAMPLES = int(os.environ.get("COVE_FUZZ_EXAMPLES", "3"))
SEED = int(os.environ.get("COVE_FUZZ_SEED", "20"))


@pytest.mark.timeout(180 + 20 * EXAMPLES)
def test_no_request_breaks_the_engine(fresh_daemon: Daemon) -> None:
    engine = fresh_daemon
    (engine.base / "fuzz").mkdir()
    engine.docker("tag", "busybox", "fuzzed")
    engine.docker("volume", "create", "kept")
    engine.docker("network", "create", "net")
    for name in ("runs", "pausing"):
        options = ("--name", name, "--net", "net", "-v", "kept:/data", "--stop-timeout", "0")
        engine.docker("run", "-d", *options, "busybox", "sleep", "600")
    engine.docker("create", "--name", "stopped", "busybox", "true")
    fuzzer = Fuzzer(engine, SEED, EXAMPLES)
    wrong = fuzzer.run()
    assert not wrong, f"{len(wrong)} of {fuzzer.asked}:\n" + "\n".join(wrong)
    assert fuzzer.met == {"start", "resize", "json"}
    assert engine.docker("run", "--rm", "busybox", "echo", "well").out == "well\n"
    assert "internal error" not in engine.log.read_text()
