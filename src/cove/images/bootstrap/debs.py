"""The files of chosen packages: fetched, verified, opened."""

from collections.abc import Iterable
from pathlib import Path

from cove.errors import InvalidArgument, Unavailable
from cove.images.bootstrap.deb import Deb
from cove.images.bootstrap.download import Downloads
from cove.images.bootstrap.packages import Package
from cove.urls import without_user


async def fetch(packages: Iterable[Package], downloads: Downloads, work: Path) -> None:
    """Bring the packages' files to ``work``, each as the index says it must be. Raises Unavailable."""
    for package in packages:
        if not await downloads.save(package.url, path(work, package), package.expected, str(package)):
            raise Unavailable(f"{without_user(package.url)} is missing, though the index lists it")


def path(work: Path, package: Package) -> Path:
    """Where ``fetch`` puts it."""
    return work / f"{package.expected.sha256}.deb"


def opened(package: Package, work: Path) -> Deb:
    """The package's file, which must be the package that the index says it is. Raises InvalidArgument."""
    deb = Deb(path(work, package), str(package))
    fields = deb.control()
    found = (fields.get("package"), fields.get("version"), fields.get("architecture"))
    if found != (package.name, str(package.version), package.architecture):
        raise InvalidArgument(f"{package} is another package: {' '.join(map(str, found))}")
    return deb


def remove(packages: Iterable[Package], work: Path) -> None:
    """Delete the files."""
    for package in packages:
        path(work, package).unlink(missing_ok=True)
