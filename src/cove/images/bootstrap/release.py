"""A suite's Release file: what an archive holds today, with the hashes of its indexes, signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from cove.errors import InvalidArgument, NotFound, Unavailable
from cove.images.bootstrap import deb822
from cove.images.bootstrap.apt_sources import Source
from cove.images.bootstrap.download import Downloads, Expected
from cove.images.bootstrap.keyring import keyring_for
from cove.images.bootstrap.machine import Machine, boolean
from cove.images.bootstrap.progress import Progress, Report
from cove.images.bootstrap.signature import check_detached, signed_text
from cove.store import in_thread
from cove.urls import without_user

MAX_RELEASE = 16 << 20
"""Bytes. Debian's largest InRelease files have 2 MB."""


@dataclass(frozen=True)
class Release:
    """``date``: when it was made. ``files``: path below the suite's directory to what it must be.

    ``by_hash``: files are also served under the name of their hash. ``not_automatic``: only for who asks for it.
    """

    source: Source
    date: datetime
    valid_until: datetime | None
    files: Mapping[str, Expected]
    by_hash: bool
    not_automatic: bool

    @property
    def directory(self) -> str:
        """The URI of the suite's directory."""
        return f"{self.source.uri}/dists/{self.source.suite}"


async def fetch_release(
    source: Source, machine: Machine, downloads: Downloads, work: Path, report: Report, now: datetime
) -> Release:
    """The verified release of a source: signed by a key that may sign it, of the right suite, and still valid.

    Raises NotFound when the mirror has no such suite, Unavailable for everything that makes it untrustworthy.
    """
    base = f"{source.uri}/dists/{source.suite}"
    keyring = await in_thread(keyring_for, source.signed_by, machine, work)
    report(Progress("Reading release", source.suite))
    name = without_user(f"{base}/InRelease")
    if message := await downloads.read(f"{base}/InRelease", MAX_RELEASE):
        text = await in_thread(signed_text, message, keyring, name)
    else:
        name = without_user(f"{base}/Release")
        text = await downloads.read(f"{base}/Release", MAX_RELEASE) or b""
        signature = await downloads.read(f"{base}/Release.gpg", MAX_RELEASE)
        if not text:
            raise NotFound(f"{without_user(base)} has no release: is the suite's name right?")
        if not signature:
            raise Unavailable(f"{name} is not signed")
        await in_thread(check_detached, text, signature, keyring, name)
    report(Progress("Signature verified", source.suite))
    release = parse_release(text.decode(errors="replace"), source, name)
    check_valid(release, machine, name, now)
    return release


def parse_release(text: str, source: Source, name: str) -> Release:
    """Read a Release file's text. ``name`` is for the errors: Unavailable."""
    try:
        paragraphs = deb822.parse(text, name)
        if len(paragraphs) != 1:
            raise InvalidArgument(f"{name} must have one paragraph, it has {len(paragraphs)}")
        fields = paragraphs[0]
        _check_suite(fields, source, name)
        return Release(
            source=source,
            date=_date(fields, "date", name),
            valid_until=_date(fields, "valid-until", name) if "valid-until" in fields else None,
            files=_files(fields.get("sha256", ""), name),
            by_hash=boolean(fields.get("acquire-by-hash", "")) is True,
            not_automatic=boolean(fields.get("notautomatic", "")) is True,
        )
    except InvalidArgument as error:
        raise Unavailable(error.message) from error


def check_valid(release: Release, machine: Machine, name: str, now: datetime) -> None:
    """Raise Unavailable when the release is too old, unless the source or apt.conf says not to check that."""
    wanted = release.source.check_valid_until
    if wanted is None:
        wanted = machine.flag("Acquire::Check-Valid-Until")
    if wanted is not False and release.valid_until and release.valid_until < now:
        until = release.valid_until.strftime("%Y-%m-%d %H:%M:%S UTC")
        raise Unavailable(f"{name} is expired: it was valid until {until}")


def _check_suite(fields: deb822.Paragraph, source: Source, name: str) -> None:
    """A mirror must not pass one suite, signed as it is, for another."""
    known = [fields[field] for field in ("suite", "codename") if fields.get(field)]
    if known and source.suite not in known:
        raise InvalidArgument(f"{name} is of another suite: {' or '.join(known)}, not {source.suite}")


def _date(fields: deb822.Paragraph, field: str, name: str) -> datetime:
    try:
        date = parsedate_to_datetime(fields.get(field, ""))
    except ValueError as error:
        raise InvalidArgument(f"{name}: field {field} is no date: {fields.get(field, '')[:80]!r}") from error
    return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)


def _files(section: str, name: str) -> dict[str, Expected]:
    files = {}
    for line in section.splitlines():
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or len(words[0]) != 64 or not words[1].isdecimal():
            raise InvalidArgument(f"{name}: not a hash, a size and a path: {line[:120]!r}")
        files[words[2]] = Expected(int(words[1]), words[0].lower())
    if not files:
        raise InvalidArgument(f"{name} has no SHA256 hashes")
    return files
