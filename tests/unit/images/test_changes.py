"""Expected values are what Docker made of the same changes."""

import msgspec
import pytest

from cove.errors import InvalidArgument
from cove.images.changes import apply
from cove.oci.image import Config, Healthcheck


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (['CMD ["a","b"]'], {"Cmd": ["a", "b"]}),
        (["cmd a b"], {"Cmd": ["/bin/sh", "-c", "a b"]}),
        (["CMD"], {"Cmd": ["/bin/sh", "-c"]}),
        (["CMD ['a']"], {"Cmd": ["/bin/sh", "-c", "['a']"]}),
        (["ENTRYPOINT foo bar"], {"Entrypoint": ["/bin/sh", "-c", "foo bar"]}),
        (["ENV A=1 B=2", "ENV A=3"], {"Env": ["A=3", "B=2"]}),
        (["ENV A some words"], {"Env": ["A=some words"]}),
        (["ENV A=\"x y\" B='z'"], {"Env": ["A=x y", "B=z"]}),
        (
            ["EXPOSE 80 90/UDP", "EXPOSE 100-102"],
            {"ExposedPorts": ["100/tcp", "101/tcp", "102/tcp", "80/tcp", "90/udp"]},
        ),
        (["LABEL x=y", "LABEL z"], None),
        (["LABEL x=y a=b"], {"Labels": {"x": "y", "a": "b"}}),
        (["USER u:g"], {"User": "u:g"}),
        (["VOLUME /a /b", 'VOLUME ["/c d"]'], {"Volumes": ["/a", "/b", "/c d"]}),
        (["WORKDIR /a", "WORKDIR b/../c"], {"WorkingDir": "/a/c"}),
        (["STOPSIGNAL SIGINT"], {"StopSignal": "SIGINT"}),
        (["ONBUILD RUN x"], {"OnBuild": ["RUN x"]}),
        (["  ", "# what follows", "USER me"], {"User": "me"}),
        (["  "], None),
        (["# nothing"], None),
    ],
)
def test_instructions(changes: list[str], expected: dict[str, object] | None) -> None:
    if expected is None:
        with pytest.raises(InvalidArgument):
            apply(Config(), changes)
        return
    found = msgspec.to_builtins(apply(Config(), changes))
    for name in ("ExposedPorts", "Volumes"):
        if name in found:
            found[name] = sorted(found[name])
    assert found == expected


def test_healthcheck() -> None:
    (line,) = ["HEALTHCHECK --interval=5s --timeout=1m --retries=3 --start-period=2s CMD curl -f x"]
    assert apply(Config(), [line]).healthcheck == Healthcheck(
        ["CMD-SHELL", "curl -f x"], interval=5 * 10**9, timeout=60 * 10**9, start_period=2 * 10**9, retries=3
    )
    assert apply(Config(), ['HEALTHCHECK CMD ["a","b"]']).healthcheck == Healthcheck(["CMD", "a", "b"])
    assert apply(Config(), ["HEALTHCHECK none"]).healthcheck == Healthcheck(["NONE"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FOO bar", "foo is not a valid change command"),
        ("COPY a b", "copy is not a valid change command"),
        ("EXPOSE x", "Invalid containerPort: x"),
        ("EXPOSE 70000", "Invalid containerPort: 70000"),
        ("EXPOSE 1-65535", "Invalid containerPort: 1-65535"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV =x", "ENV names can not be blank"),
        ('ENV a="x', "ENV: No closing quotation"),
        ("HEALTHCHECK x", 'Unknown type "X" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK --wrong=1 CMD x", "unknown flag: --wrong"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("USER", "USER requires exactly one argument"),
    ],
)
def test_refused(line: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        apply(Config(), ["USER u", line])
    assert caught.value.message == message
