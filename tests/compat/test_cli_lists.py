"""Lists, inspections and formats: the same bytes from both command lines."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# Stands for the container of this process in the lines below.
NAME = "THE-CONTAINER"


@pytest.fixture(scope="module")
def container(runner: Any) -> Iterator[str]:
    name = f"covecompat-lists-{os.getpid()}"
    port = 20000 + os.getpid() % 20000
    published = ("-p", f"127.0.0.1:{port}-{port + 2}:80-82", "-p", f"{port}:9000/udp")
    words = ("-l", "a.label=x y", "-l", "b=2", "-v", f"{name}:/data", "-e", "A=<b>&c", *published)
    made = runner.docker("run", "-d", "--name", name, *words, "busybox", "sleep", "600")
    assert made.code == 0, made.err
    yield name
    runner.docker("rm", "-f", "-v", name)
    runner.docker("volume", "rm", name)


# Columns of time and of other tests' containers differ from one call to the next.
AGES = r"(Less than a second|\d+ seconds?|About a minute|\d+ minutes?)"
OWN = ("--filter", f"name={NAME}")

LISTS = [
    ("ps", *OWN),
    ("ps", "-a", "--no-trunc", *OWN),
    ("ps", "-s", *OWN),
    ("ps", "-q", *OWN),
    ("ps", "-q", "--no-trunc", *OWN),
    ("ps", "--format", "json", *OWN),
    ("ps", "--format", "{{json .}}", *OWN),
    ("ps", "--format", "{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.Ports}} {{.Labels}} {{.Mounts}}", *OWN),
    ("ps", "--format", "{{.Networks}}\\t{{.LocalVolumes}}|{{.State}}|{{.Size}}|{{.CreatedAt}}", *OWN),
    ("ps", "--format", 'table {{.ID}}\\t{{.Label "a.label"}}\\t{{upper .Names}}\\t{{.Ports}}', *OWN),
    ("ps", "--format", "table", *OWN),
    ("ps", "--format", '{{range $i, $e := split .Ports ", "}}{{$i}}={{$e}};{{end}}', *OWN),
    ("ps", "--format", '{{if eq .State "running"}}up{{else}}down{{end}} {{len .Names}}', *OWN),
    ("ps", "--format", "{{json .Ports}}{{json .Names}}", *OWN),
    ("ps", "--filter", "name=covecompat-none"),
    ("container", "ls", *OWN),
    ("container", "ps", *OWN),
    ("container", "list", "-a", *OWN),
    ("container", "top", NAME, "-o", "comm"),
    ("system", "info", "--format", "{{.ServerVersion}} {{json .Labels}}"),
    ("images", "busybox"),
    ("images", "--digests", "busybox"),
    ("images", "--no-trunc", "busybox"),
    ("images", "-q", "busybox"),
    ("images", "--format", "json", "busybox"),
    ("images", "--format", "table {{.Repository}}:{{.Tag}}\\t{{.Size}}", "busybox"),
    ("images", "covecompat-none"),
    ("image", "ls", "busybox"),
    ("history", "busybox"),
    ("history", "--no-trunc", "busybox"),
    ("history", "-H=false", "busybox"),
    ("history", "-q", "busybox"),
    ("history", "--format", "json", "busybox"),
    ("network", "ls", "--filter", "type=builtin"),
    ("network", "ls", "--no-trunc", "--filter", "name=bridge"),
    ("network", "ls", "-q", "--filter", "name=host"),
    ("network", "ls", "--format", "json", "--filter", "name=none"),
    ("volume", "ls", *OWN),
    ("volume", "ls", "-q", *OWN),
    ("volume", "ls", "--format", "json", *OWN),
    ("port", NAME),
    ("port", NAME, "80"),
    ("port", NAME, "9000/udp"),
    ("top", NAME),
    ("top", NAME, "-o", "pid,comm"),
    ("diff", NAME),
    ("stats", "--no-stream", "--format", "table {{.Container}}\\t{{.Name}}\\t{{.ID}}\\t{{.PIDs}}", NAME),
    ("system", "df", "--format", "{{.Type}} {{.TotalCount}}"),
    ("version", "--format", "{{json .Server}}"),
    ("version", "--format", "{{.Server.Version}} {{.Client.Context}}"),
    ("version", "--format", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}} {{.Server.Os}}"),
    ("info", "--format", "{{.ServerVersion}} {{.NCPU}} {{.OSType}} {{.Name}}"),
    ("inspect", NAME),
    ("inspect", "busybox"),
    ("inspect", NAME, "busybox", "--format", "{{.Id}}"),
    ("inspect", "-s", "-f", "{{.SizeRootFs}}", NAME),
    ("inspect", "-f", "json", NAME),
    ("inspect", "-f", "{{json .Config}}", NAME),
    ("inspect", "-f", "{{.State.Status}} {{.State.Running}} {{.HostConfig.Memory}} {{.Path}} {{.Args}}", NAME),
    ("inspect", "-f", "{{.Config.Labels.b}}{{.Config.Labels.none}}", NAME),
    ("inspect", "-f", '{{index .Config.Labels "a.label"}}|{{.Config.Env}}', NAME),
    ("inspect", "-f", "{{if .State.Health}}y{{else}}n{{end}} {{.State.Health}} {{.Config.Healthcheck}}", NAME),
    ("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", NAME),
    ("inspect", "-f", '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', NAME),
    ("inspect", "-f", "{{range $p, $c := .NetworkSettings.Ports}}{{$p}} -> {{(index $c 0).HostPort}} {{end}}", NAME),
    ("inspect", "-f", "{{.HostConfig.Init}}|{{.HostConfig.CapAdd}}|{{.HostConfig.LogConfig.Config}}", NAME),
    ("inspect", "-f", '{{len .Mounts}} {{printf "%s-%d" .Name .RestartCount}} {{println .Driver}}', NAME),
    ("inspect", "--type", "container", "-f", "{{.Name}}", NAME),
    ("container", "inspect", NAME),
    ("image", "inspect", "busybox"),
    ("image", "inspect", "-f", "{{.RepoTags}} {{.Config.Cmd}} {{.Architecture}}", "busybox"),
    ("network", "inspect", "host"),
    ("network", "inspect", "-f", "{{.Name}} {{.IPAM.Config}} {{.Options}}", "none"),
    ("volume", "inspect", NAME),
    ("volume", "inspect", "-f", "{{.Mountpoint}} {{.Options}}", NAME),
    ("logs", NAME),
]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_output_is_the_same(words: tuple[str, ...], container: str, same: Callable[..., Any]) -> None:
    padding = "| {3,}" if words[0] in ("ps", "container") else ""  # as wide as an age, which may grow in between
    found = same(*(word.replace(NAME, container) for word in words), scrub=rf"{AGES}( ago)? *|0\.\d\d%{padding}")
    assert found.code == 0


def test_tables_show_what_there_is(container: str, runner: Any) -> None:
    table = runner.cove("ps", "--filter", f"name={container}").out.splitlines()
    assert re.match(r"CONTAINER ID   IMAGE     COMMAND       CREATED +STATUS +PORTS +NAMES$", table[0])
    assert table[1].endswith(container)


def test_events_are_the_same(container: str, same: Callable[..., Any], runner: Any) -> None:
    found = same(
        "events", "--since", "1h", "--until", "0s", "--filter", f"container={container}", "--filter", "event=start"
    )
    assert "container start" in found.out
    for form in ("json", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}", "{{json .}}"):
        same(
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "--filter",
            f"container={container}",
            "--filter",
            "event=start",
            "--format",
            form,
        )
