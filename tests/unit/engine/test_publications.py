"""Edits of what a container publishes."""

import pytest

from cove.engine.networking.publications import edited
from cove.errors import Conflict, InvalidArgument
from cove.network import PortRecord, PortRequest
from cove.wire.containers import ContainerUpdate
from cove.wire.host_config import PortBinding

WISHES: dict[str, list[PortBinding] | None] = {
    "80/tcp": [PortBinding(), PortBinding(host_port="8080"), PortBinding("127.0.0.1", "9090")],
    "53/udp": [PortBinding(host_port="8080")],
}
HELD = [
    PortRecord("tcp", "0.0.0.0", 8080, "c", "172.17.0.2", 80),
    PortRecord("tcp", "::", 8080, "c", "172.17.0.2", 80),
    PortRecord("tcp", "127.0.0.1", 9090, "c", "172.17.0.2", 80),
    PortRecord("tcp", "0.0.0.0", 32768, "c", "172.17.0.2", 80),
    PortRecord("udp", "0.0.0.0", 8080, "c", "172.17.0.2", 53),
]


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("8080", HELD[:2], [["", "127.0.0.1:9090"], ["8080"]]),
        ("127.0.0.1:9090/tcp", HELD[2:3], [["8080", ""], ["8080"]]),
        ("32768", HELD[3:4], [["8080", "127.0.0.1:9090"], ["8080"]]),
        ("8080/udp", HELD[4:], [["8080", "127.0.0.1:9090", ""]]),
    ],
)
def test_removing(text: str, gone: list[PortRecord], left: list[list[str]]) -> None:
    edit = edited(WISHES, HELD, ContainerUpdate(publish_remove=[text]))
    shown = [
        sorted(f"{wish.host_ip}:{wish.host_port}".removeprefix(":") for wish in wishes or ())
        for wishes in edit.bindings.values()
    ]
    assert list(edit.gone) == gone and not edit.requests
    assert shown == [sorted(wishes) for wishes in left]


def test_adding_and_moving() -> None:
    request = ContainerUpdate(publish_add={"81": [PortBinding(host_port="8080")]}, publish_remove=["8080"])
    edit = edited(WISHES, HELD, request)
    assert edit.requests == (PortRequest("tcp", 81, "", "8080"),)
    assert edit.bindings["81/tcp"] == [PortBinding(host_port="8080")]
    assert [wish.host_port for wish in WISHES["80/tcp"] or ()] == ["", "8080", "9090"]  # what was given is as it was


@pytest.mark.parametrize("text", ["", "x", "0", "70000", "8080/icmp", "nohost:8080", "1.2.3.4:8080", "7"])
def test_what_is_no_port_or_not_published(text: str) -> None:
    with pytest.raises(InvalidArgument):
        edited(WISHES, HELD, ContainerUpdate(publish_remove=[text]))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_what_is_published_already(host: str) -> None:
    """Without a look at who has what: a container that does not run would not start with it."""
    for key, wish in (("81", PortBinding(host, "9090")), ("80", PortBinding("", "8080"))):
        with pytest.raises(Conflict, match=r"Bind for [0-9.]+:(8080|9090) failed: port is already allocated"):
            edited(WISHES, [], ContainerUpdate(publish_add={key: [wish]}))
    for key, wish in (("81", PortBinding("::", "9090")), ("53/udp", PortBinding(host, "9090")), ("80", PortBinding())):
        assert edited(WISHES, [], ContainerUpdate(publish_add={key: [wish]})).requests


def test_what_cannot_be_published() -> None:
    for key, wish in (("80/icmp", PortBinding()), ("80", PortBinding("x")), ("80", PortBinding("", "99999"))):
        with pytest.raises(InvalidArgument):
            edited({}, [], ContainerUpdate(publish_add={key: [wish]}))
