"""Devices of the host in containers: which can be opened, under which names, and what is refused."""

import pytest

from harness.engine import Engine

pytestmark = pytest.mark.cgroup2

READ = "dd if={} of=/dev/null bs=1 count=1"


def sh(daemon: Engine, script: str, *flags: str, check: bool = True) -> str:
    done = daemon.docker("run", "--rm", *flags, "busybox", "sh", "-c", f"({script}) 2>&1", check=check)
    return done.out + done.err


def test_what_is_not_given_cannot_be_opened_even_when_it_is_made(daemon: Engine) -> None:
    script = f"mknod /mem c 1 1; {READ.format('/mem')}; echo x > /dev/null && echo fine"
    output = sh(daemon, script)
    assert "can't open '/mem': Operation not permitted" in output
    assert output.endswith("fine\n")


def test_a_device_under_another_name(daemon: Engine) -> None:
    output = sh(
        daemon, f"ls -l /dev/mine; {READ.format('/dev/mine')}; echo x > /dev/mine", "--device", "/dev/zero:/dev/mine:r"
    )
    assert "1,   5" in output
    assert "1+0 records out" in output


def test_access_that_was_not_given(daemon: Engine) -> None:
    output = sh(
        daemon, f"{READ.format('/dev/kmsg')}; echo x > /dev/kmsg", "--device", "/dev/kmsg:/dev/kmsg:w", check=False
    )
    assert "can't open '/dev/kmsg': Operation not permitted" in output


def test_a_rule_for_devices_to_come(daemon: Engine) -> None:
    script = f"mknod /log c 1 11; exec 3> /log && echo written; {READ.format('/log')}"
    output = sh(daemon, script, "--device-cgroup-rule", "c 1:11 w", check=False)
    assert "written" in output
    assert "Operation not permitted" in output


def test_a_directory_and_a_link(daemon: Engine) -> None:
    output = sh(
        daemon,
        "ls /dev/net /dev/log2",
        "--device",
        "/dev/net:/dev/net",
        "--device",
        "/dev/stdin:/dev/log2",
        check=False,
    )
    assert "tun" in output or "not a device node" in output


def test_privileged_has_all(daemon: Engine) -> None:
    output = sh(daemon, f"mknod /mem2 c 1 11; {READ.format('/mem2')}; ls /dev/kmsg", "--privileged")
    assert "not permitted" not in output
    assert "/dev/kmsg" in output


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("/dev/nope", 'while adding custom device "/dev/nope": no such file or directory'),
        ("/etc/passwd", 'while adding custom device "/etc/passwd": not a device node'),
    ],
)
def test_refused(daemon: Engine, flag: str, words: str) -> None:
    done = daemon.docker("run", "--rm", "--device", f"{flag}:/dev/x", "busybox", "true", check=False)
    assert done.code == 125 or done.code == 127 or done.code == 126
    assert words in done.err


def test_a_rate_for_a_device_that_is_not_there(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", "--device-read-bps", "/dev/nope:1mb", "busybox", "true", check=False)
    assert "stat /dev/nope: no such file or directory" in done.err
