"""The grammar of -v, --mount, --tmpfs and --volumes-from; the words of its errors are the real engine's."""

from typing import Any

import pytest

from cove.engine.containers.record import MountPoint
from cove.engine.mounting.mounts import inherited, points, volumes_from
from cove.errors import InvalidArgument
from cove.wire.config import Config
from cove.wire.host_config import BindOptions, HostConfig, Mount, VolumeOptions


def bind(text: str) -> MountPoint:
    [made] = points(Config(), HostConfig(binds=[text]))
    return made


def refusal(**host: Any) -> str:
    with pytest.raises(InvalidArgument) as refused:
        points(Config(), HostConfig(**host))
    return refused.value.message


@pytest.mark.parametrize(
    ("text", "source", "destination", "mode", "writable", "propagation"),
    [
        ("/s:/b", "/s", "/b", "", True, "rprivate"),
        ("/s:/b:ro", "/s", "/b", "ro", False, "rprivate"),
        ("/s:/b:rw,z", "/s", "/b", "rw,z", True, "rprivate"),
        ("/s:/b:rslave,ro", "/s", "/b", "rslave,ro", False, "rslave"),
        ("/s:/b:cached", "/s", "/b", "cached", True, "rprivate"),
        ("/s/../t/:/b/./c/", "/t", "/b/c", "", True, "rprivate"),
        ("/s://b", "/s", "/b", "", True, "rprivate"),
        ("/a b/ü:/c d", "/a b/ü", "/c d", "", True, "rprivate"),
    ],
)
def test_directories(text: str, source: str, destination: str, mode: str, writable: bool, propagation: str) -> None:
    assert bind(text) == MountPoint(
        "bind",
        destination,
        source=source,
        mode=mode,
        writable=writable,
        propagation=propagation,
        create_source=True,
    )


@pytest.mark.parametrize(
    ("text", "mode", "writable"),
    [("nn:/b", "z", True), ("nn:/b:nocopy", "nocopy", True), ("nn:/b:ro", "ro", False), ("nn:/b:Z,ro", "Z,ro", False)],
)
def test_volumes(text: str, mode: str, writable: bool) -> None:
    no_copy = mode == "nocopy"
    assert bind(text) == MountPoint(
        "volume", "/b", name="nn", driver="local", mode=mode, writable=writable, no_copy=no_copy
    )


def test_a_volume_without_a_name() -> None:
    anonymous = MountPoint("volume", "/b", driver="local", anonymous=True)
    assert bind("/b/") == anonymous
    assert points(Config(volumes={"/b": {}}), HostConfig()) == [anonymous]


CONFIG = 'invalid mount config for type "bind": '


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/s:/b:wat", "invalid mode: wat"),
        ("/s:/b:ro,rw", "invalid mode: ro,rw"),
        ("/s:/b:ro,ro", "invalid mode: ro,ro"),
        ("/s:/b:z,Z", "invalid mode: z,Z"),
        ("/s:/b:private,shared", "invalid mode: private,shared"),
        ("/s:/b:consistent,cached", "invalid mode: consistent,cached"),
        ("/s:/b:ro,", "invalid mode: ro,"),
        ("/s:/", f"invalid volume specification: '/s:/': {CONFIG}invalid specification: destination can't be '/'"),
        (
            "/s:/x/..",
            f"invalid volume specification: '/s:/x/..': {CONFIG}invalid specification: destination can't be '/'",
        ),
        ("/s://", f"invalid volume specification: '/s://': {CONFIG}invalid specification: destination can't be '/'"),
        ("/s:b", f"invalid volume specification: '/s:b': {CONFIG}invalid mount path: 'b' mount path must be absolute"),
        (
            "/s:/b:nocopy",
            f"invalid volume specification: '/s:/b:nocopy': {CONFIG}field VolumeOptions must not be specified",
        ),
        (
            "nn:/b:rslave",
            "invalid volume specification: 'nn:/b:rslave': invalid mount config for type \"volume\": field BindOptions "
            "must not be specified",
        ),
        (
            "a/b:/c",
            'create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
            "are allowed. If you intended to pass a host directory, use absolute path",
        ),
        (":/b", "invalid volume specification: ':/b'"),
        ("/s:", "invalid volume specification: '/s:'"),
        ("", "invalid volume specification: ''"),
        ("/s:/b:ro:x", "invalid volume specification: '/s:/b:ro:x'"),
    ],
)
def test_binds_that_are_none(text: str, message: str) -> None:
    assert refusal(binds=[text]) == message


@pytest.mark.parametrize(
    ("mount", "point"),
    [
        (Mount(type="bind", source="/s/", target="/b/"), MountPoint("bind", "/b", source="/s", propagation="rprivate")),
        (
            Mount(
                type="bind",
                source="/s",
                target="/b",
                read_only=True,
                bind_options=BindOptions(propagation="rshared", create_mountpoint=True),
            ),
            MountPoint("bind", "/b", source="/s", writable=False, propagation="rshared", create_source=True),
        ),
        (
            Mount(type="volume", source="nn", target="/b", read_only=True),
            MountPoint("volume", "/b", name="nn", driver="local", mode="z", writable=False),
        ),
        (
            Mount(type="volume", target="/b", volume_options=VolumeOptions(labels={"a": "b"})),
            MountPoint("volume", "/b", driver="local", mode="z", anonymous=True, labels={"a": "b"}),
        ),
    ],
)
def test_mount_flags(mount: Mount, point: MountPoint) -> None:
    assert points(Config(), HostConfig(mounts=[mount])) == [point]


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        (
            Mount(type="bind", source="rel", target="/b"),
            f"{CONFIG}invalid mount path: 'rel' mount path must be absolute",
        ),
        (Mount(type="bind", source="/s", target="b"), f"{CONFIG}invalid mount path: 'b' mount path must be absolute"),
        (Mount(type="bind", source="/s", target="/"), f"{CONFIG}invalid specification: destination can't be '/'"),
        (Mount(type="npipe", source="x", target="/b"), 'invalid mount config for type "npipe": mount type unknown'),
    ],
)
def test_mount_flags_that_are_none(mount: Mount, message: str) -> None:
    assert refusal(mounts=[mount]) == message


def test_temporary_file_systems() -> None:
    assert refusal(tmpfs={"b": ""}) == "invalid mount path: 'b' mount path must be absolute"
    [made] = points(Config(), HostConfig(tmpfs={"/b": "dev,size=1m"}))
    assert made == MountPoint("tmpfs", "/b", mode="dev,size=1m", options=["noexec", "nosuid", "dev", "size=1m"])


@pytest.mark.parametrize(
    "host",
    [
        {"binds": ["nn:/b", "mm:/b/"]},
        {"binds": ["nn:/b"], "tmpfs": {"/b": ""}},
        {"binds": ["mm:/b"], "mounts": [Mount(type="volume", source="nn", target="/b")]},
    ],
)
def test_two_mounts_in_one_place(host: dict[str, Any]) -> None:
    assert refusal(**host) == "Duplicate mount point: /b"


def test_what_the_user_mounts_wins_over_the_image_s_volume() -> None:
    made = points(Config(volumes={"/b": {}, "/c": {}}), HostConfig(binds=["/s:/b"]))
    assert [(point.kind, point.destination) for point in made] == [("bind", "/b"), ("volume", "/c")]


OTHERS = [
    MountPoint("volume", "/a", source="/v/_data", name="v", driver="local", mode="z", anonymous=True),
    MountPoint("bind", "/b", source="/s", mode="ro", writable=False, propagation="rslave", create_source=True),
    MountPoint("tmpfs", "/c"),
]


def test_volumes_from_another_container() -> None:
    assert inherited("", OTHERS, ()) == [
        MountPoint("volume", "/a", source="/v/_data", name="v", driver="local", no_copy=True),
        MountPoint("bind", "/b", source="/s", writable=False, propagation="rslave", no_copy=True),
    ]
    assert [point.destination for point in inherited("", OTHERS, ["/a"])] == ["/b"]


@pytest.mark.parametrize(("mode", "writable"), [("ro", [False, False]), ("rw", [True, False]), ("z", [True, False])])
def test_volumes_from_with_a_mode(mode: str, writable: list[bool]) -> None:
    assert volumes_from(f"other:{mode}") == ("other", mode)
    assert [point.writable for point in inherited(mode, OTHERS, ())] == writable


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("other:wat", "invalid mode: wat"),
        ("", "volumes-from specification cannot be an empty string"),
        (":ro", 'invalid name or ID supplied: ""'),
    ],
)
def test_volumes_from_what_is_no_container(reference: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        volumes_from(reference)
