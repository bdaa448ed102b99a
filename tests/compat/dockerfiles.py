"""Dockerfiles for both engines, with what a build of each may be told. The context is ``lay_context``'s."""

import gzip
import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """``flags``: of ``docker build``. ``ignore``: the ``.dockerignore``. ``files``: whether the tree is compared."""

    text: str
    flags: tuple[str, ...] = ()
    ignore: str = ""
    files: bool = False


def _cases(table: str, *, files: bool = False) -> dict[str, Case]:
    """``== name flag flag`` begins a Dockerfile; a line that begins with ``! `` is one of its ``.dockerignore``."""
    made: dict[str, Case] = {}
    for block in table.split("\n== ")[1:]:
        head, _, body = block.partition("\n")
        name, *flags = head.split()
        lines = body.split("\n")
        ignore = "".join(line[2:] + "\n" for line in lines if line.startswith("! "))
        text = "\n".join(line for line in lines if not line.startswith("! ")) + "\n"
        made[name] = Case(text if "FROM" in text.upper() else "FROM busybox\n" + text, tuple(flags), ignore, files)
    return made


METADATA = _cases(r"""
== env-new
ENV A=1 B="two words" C=three\ words D='four $A'
== env-old
ENV A one  two
== env-path
ENV PATH=/x:$PATH
== env-sees-what-was-before
ENV A=1
ENV A=2 B=$A
== env-again
ENV A=1 B=2
ENV A=3
== variables
ENV A=value E=
ENV B=${A} C=${N:-default} D=${A:+set} F=${E:-empty} G=\$A H=${A}x I="$A" J='$A'
== label
LABEL a=1 "b c"="d e" f=g\ h
LABEL a=2
== label-continued
LABEL one="1" \
      two="2" \
# a comment
      three="3"
== cmd-exec
CMD ["a", "b c"]
== cmd-shell
CMD echo $HOME "x"
== cmd-empty
CMD []
== cmd-twice
CMD a
CMD ["b"]
== entrypoint-exec
ENTRYPOINT ["a", "b"]
== entrypoint-shell
ENTRYPOINT exec top
== entrypoint-after-cmd
CMD ["x"]
ENTRYPOINT ["a"]
== entrypoint-before-cmd
ENTRYPOINT ["a"]
CMD ["x"]
== entrypoint-empty
ENTRYPOINT []
== expose
EXPOSE 80 443/tcp 53/udp 8000-8002
== expose-variable
ENV PORT=81
EXPOSE $PORT/tcp
== volume
VOLUME /a /b
VOLUME ["/c d"]
== user
USER daemon
== user-group
USER 7:8
== user-variable
ENV WHO=daemon
USER $WHO
== workdir-nested
WORKDIR /a
WORKDIR b
WORKDIR ../c
== workdir-variable
ENV D=/d
WORKDIR $D/e
== shell
SHELL ["/bin/ash", "-ec"]
CMD x
ENTRYPOINT y
== stopsignal
STOPSIGNAL SIGINT
== stopsignal-number
STOPSIGNAL 9
== healthcheck-shell
HEALTHCHECK --interval=5m --timeout=3s CMD wget -q localhost || exit 1
== healthcheck-exec
HEALTHCHECK --start-period=1s --retries=2 CMD ["a", "b"]
== healthcheck-none
HEALTHCHECK NONE
== onbuild
ONBUILD RUN true
ONBUILD COPY . /x
== maintainer
MAINTAINER Somebody <s@example.com>
== arg-default
ARG A=1
ENV B=$A
== arg-given --build-arg=A=given
ARG A=1
ENV B=$A
== arg-empty --build-arg=A=
ARG A=1
ENV B=x${A}x
== arg-unset
ARG A
ENV B=x${A}x
== arg-then-env --build-arg=A=given
ARG A=1
ENV A=env
ENV B=$A
== arg-in-from
ARG NAME=busybox
ARG TAG=latest
FROM $NAME:${TAG}
ARG TAG
LABEL tag=$TAG name=x$NAME
== arg-before-from-is-not-in-the-stage
ARG A=1
FROM busybox
ENV B=x${A}x
== escape
# escape=`
FROM busybox
ENV A=x\y `
    B=`$C
LABEL d=e\f
== lower-case
from busybox
env a=b
cmd ["x"]
== comments
# one
FROM busybox
# two
  # three
ENV A=# B=\#
CMD a # b
== unicode
ENV A=ümläut 한=글
LABEL "ключ"="значение"
CMD ["ü", "\u00e9"]
== labels-of-the-build --label=x=y --label=a=2
LABEL a=1
""")

FILES = _cases(
    r"""
== copy-file
COPY a.txt /x
== copy-into-new-directory
COPY a.txt /new/dir/
== copy-directory-contents
COPY dir /d
== copy-several
COPY a.txt b.txt dir/c.txt /d/
== copy-wildcard
COPY *.txt /d/
COPY d?r/s*b /e/
== copy-all
COPY . /all/
== copy-relative
WORKDIR /w
COPY a.txt ./b/
COPY a.txt c
== copy-names-with-spaces
COPY ["a name.txt", "/d e/"]
== copy-onto-existing
RUN mkdir -p /d/sub && echo old >/d/c.txt && chmod 600 /d/c.txt && echo kept >/d/kept
COPY dir /d
== copy-links
COPY dir/link /d/
COPY dir /e
== copy-chown-numbers
COPY --chown=7:8 dir /d
== copy-chown-names
COPY --chown=daemon a.txt /x
COPY --chown=nobody:daemon b.txt /y
== copy-variables
ARG SOURCE=a.txt
ENV TO=/t
COPY $SOURCE ${TO}/x
== copy-into-link
RUN mkdir /real && ln -s /real /link
COPY a.txt /link/
COPY dir /link
== copy-mode
COPY script.sh /s/
== copy-then-run
COPY script.sh /
RUN /script.sh >/out && cp /out /out2
== add-file
ADD a.txt /x
== add-archive
ADD archive.tar.gz /d/
== add-archive-onto-existing
RUN mkdir -p /d/x && echo old >/d/x/y
ADD archive.tar.gz /d
== add-directory
ADD dir /d
== ignore
! *.txt
! dir/sub
COPY . /d
== ignore-exceptions
! *
! !dir
! dir/c.txt
! !**/b.txt
COPY . /d
== ignore-dockerfile
! Dockerfile
! .dockerignore
COPY . /d
== ignore-comments
! # a.txt
! /b.txt
! dir/
COPY . /d
== run-shell
RUN echo "$PATH" >/x; echo a\
b >>/x
== run-exec
RUN ["/bin/sh", "-c", "echo $0 >/x", "zero"]
== run-environment
ENV A=b
ARG C=d
RUN echo "$A $C" >/x
== run-user-and-directory
WORKDIR /w
RUN chown daemon /w
USER daemon
RUN id -u >/w/x; pwd >>/w/x
== run-removes
RUN rm /bin/yes && rm -r /home && mkdir /home
== run-replaces
RUN rm -r /tmp && echo file >/tmp && rm /bin/vi && mkdir /bin/vi
== run-modes-and-links
RUN mkdir -m 1700 /d && echo x >/d/f && chmod 4751 /d/f && ln /d/f /d/hard && ln -s f /d/soft && mkfifo /d/fifo
== run-nothing
RUN true
== run-shell-changed
SHELL ["/bin/sh", "-xc"]
RUN echo x >/x
== volume-after-files
RUN mkdir /v && echo x >/v/f
VOLUME /v
""",
    files=True,
)

STAGES = _cases(
    r"""
== two-stages
FROM busybox AS build
RUN echo made >/made
FROM busybox
COPY --from=build /made /got
CMD ["cat", "/got"]
== node-like
FROM busybox AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN mkdir node_modules && cp package.json node_modules/installed
COPY . .
RUN mkdir build && cat dir/c.txt a.txt >build/index.html
FROM busybox
COPY --from=build /app/build /usr/share/nginx/html
EXPOSE 80
CMD ["nginx", "-g", "daemon off;"]
== stage-from-stage
FROM busybox AS one
ENV A=1
WORKDIR /w
FROM one AS two
RUN pwd >x
ENV B=$A
== by-number
FROM busybox
RUN echo x >/x
FROM busybox
COPY --from=0 /x /y
== scratch
FROM scratch
COPY a.txt /x
CMD ["/x"]
== scratch-of-a-stage
FROM busybox AS build
RUN mkdir /o && echo x >/o/x && ln -s x /o/y && chown -R 7:8 /o
FROM scratch
COPY --from=build /o /
== target --target=one
FROM busybox AS one
LABEL a=1
FROM one
RUN false
== from-an-image
FROM scratch
COPY --from=busybox /etc/passwd /p
== args-in-stages --build-arg=A=2
ARG A=1
FROM busybox AS one
ARG A
RUN echo $A >/x
FROM busybox
COPY --from=one /x /x
RUN echo "x${A}x" >/y
""",
    files=True,
)

ERRORS = {
    name: Case(text)
    for name, text in {
        "unknown": "FROM busybox\nRUNN x\n",
        "unknown-far": "FROM busybox\nNOTHING x\n",
        "empty": "",
        "only-comments": "# x\n",
        "no-from": "RUN x\n",
        "from-words": "FROM a b\n",
        "from-flag": "FROM --platfrom=x busybox\n",
        "stage-name": "FROM busybox AS 1x\n",
        "copy-one": "FROM busybox\nCOPY a.txt\n",
        "copy-missing": "FROM busybox\nCOPY nothing /x\n",
        "copy-several": "FROM busybox\nCOPY a.txt b.txt /x\n",
        "copy-outside": "FROM busybox\nCOPY ../x /x\n",
        "copy-flag": "FROM busybox\nCOPY --nothing=x a.txt /x\n",
        "copy-from-nothing": "FROM busybox\nCOPY --from=7 a /x\n",
        "env": "FROM busybox\nENV x\n",
        "env-words": "FROM busybox\nENV x=y z\n",
        "env-quote": 'FROM busybox\nENV x=$y"\n',
        "json": "FROM busybox\nCMD [1]\n",
        "label": "FROM busybox\nLABEL\n",
        "workdir": "FROM busybox\nWORKDIR\n",
        "expose": "FROM busybox\nEXPOSE x\n",
        "stopsignal": "FROM busybox\nSTOPSIGNAL NOTHING\n",
        "healthcheck": "FROM busybox\nHEALTHCHECK x\n",
        "healthcheck-interval": "FROM busybox\nHEALTHCHECK --interval=1us CMD x\n",
        "shell": "FROM busybox\nSHELL x\n",
        "onbuild": "FROM busybox\nONBUILD FROM x\n",
        "onbuild-twice": "FROM busybox\nONBUILD ONBUILD RUN x\n",
        "volume": 'FROM busybox\nVOLUME [""]\n',
        "substitution": "FROM busybox\nENV a=${b\n",
        "heredoc": "FROM busybox\nCOPY <<EOF /x\n",
        "run-fails": "FROM busybox\nRUN exit 7\n",
        "run-missing": 'FROM busybox\nRUN ["/nothing"]\n',
        "escape": "# escape=x\nFROM busybox\n",
    }.items()
}


def lay_context(root: Path) -> None:
    """The files that the Dockerfiles copy."""
    (root / "dir/sub").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "dir/c.txt", "dir/sub/d.txt", "a name.txt"):
        (root / name).write_text(f"{name}\n")
    (root / "dir/link").symlink_to("c.txt")
    (root / "package.json").write_text("{}\n")
    (root / "package-lock.json").write_text("{}\n")
    (root / "script.sh").write_text("#!/bin/sh\necho run\n")
    (root / "script.sh").chmod(0o755)
    os.chmod(root / "b.txt", 0o640)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, mode in (("x", 0o750), ("x/y", 0o640), ("x/link", 0)):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid = mode, 7, 8
            entry.type = {"x": tarfile.DIRTYPE, "x/y": tarfile.REGTYPE, "x/link": tarfile.SYMTYPE}[name]
            entry.linkname = "y" if name == "x/link" else ""
            entry.size = 2 if name == "x/y" else 0
            archive.addfile(entry, io.BytesIO(b"y\n"))
    (root / "archive.tar.gz").write_bytes(gzip.compress(packed.getvalue(), mtime=0))
