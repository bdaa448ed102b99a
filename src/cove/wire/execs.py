"""Execs: further processes in a running container."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire


class ExecCreate(Wire):
    """Body of ``POST /containers/{id}/exec``. ``console_size``: rows, columns."""

    words: ClassVar[frozenset[str]] = frozenset({"cmd"})

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: list[int] | None = None
    attach_stdin: bool = False
    attach_stderr: bool = False
    attach_stdout: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] | None = None
    working_dir: str = ""
    cmd: list[str] | None = None


class ExecCreated(Wire):
    id: str


class ExecStart(Wire):
    """Body of ``POST /exec/{id}/start``. ``console_size``: rows, columns."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None


class ExecProcess(Wire, rename=None):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"user", "privileged"})

    tty: bool = False
    entrypoint: str = ""
    arguments: list[str] = field(default_factory=list)
    privileged: bool | None = None
    user: str = ""


class ExecInspect(Wire):
    """``pid``: as the host sees it, 0 when it does not run. ``exit_code``: None until it ended."""

    id: str = field(name="ID")
    running: bool = False
    exit_code: int | None = None
    process_config: ExecProcess = field(name="ProcessConfig", default_factory=ExecProcess)
    open_stdin: bool = False
    open_stderr: bool = False
    open_stdout: bool = False
    can_remove: bool = False
    container_id: str = ""
    detach_keys: str = ""
    pid: int = 0
