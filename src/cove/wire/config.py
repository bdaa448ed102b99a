"""What runs in a container, whatever the host: the ``Config`` object."""

from typing import Any, ClassVar

from cove.wire.base import Wire


class HealthConfig(Wire):
    """A health probe. Durations in nanoseconds; 0 is the default or what the image says.

    ``test``: ``[]`` inherits, ``["NONE"]`` disables, ``["CMD", …]``, ``["CMD-SHELL", "command"]``.
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {"test", "interval", "timeout", "start_period", "start_interval", "retries"}
    )

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(Wire):
    """The portable part of a container's settings. ``stop_timeout`` in seconds; None is the daemon's default.

    ``exposed_ports``: keys are ``port/protocol``. ``volumes``: keys are paths in the container.
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {
            "exposed_ports",
            "healthcheck",
            "args_escaped",
            "network_disabled",
            "mac_address",
            "stop_signal",
            "stop_timeout",
            "shell",
        }
    )
    words: ClassVar[frozenset[str]] = frozenset({"cmd", "entrypoint", "shell"})

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None
