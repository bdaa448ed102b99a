"""Advice on images that are small, quick to build and safe. Only what ends up in the image is looked at: the target's
stage and the stages that it is built from; what other stages leave behind costs nobody anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cove.dockerfile import instructions as types
from cove.dockerfile.checks import rules
from cove.dockerfile.checks.commands import Call, calls
from cove.dockerfile.checks.findings import Findings
from cove.dockerfile.checks.surroundings import Surroundings
from cove.dockerfile.checks.variables import is_remote
from cove.dockerfile.stages import ImageOrigin, Plan, PlannedStage, StageOrigin

_ROW = 3
"""How many RUNs in a row are too many."""

_LISTS = "/var/lib/apt/lists"
_CLEANERS = {"apt-get": ("clean", "autoclean", "autoremove"), "apt": ("clean",), "yum": ("clean",), "dnf": ("clean",)}
_CACHES = {
    ("apk", "add"): ("--no-cache", "add --no-cache", ("/var/cache/apk", "/etc/apk/cache")),
    ("pip", "install"): ("--no-cache-dir", "add --no-cache-dir", ("/root/.cache",)),
    ("pip3", "install"): ("--no-cache-dir", "add --no-cache-dir", ("/root/.cache",)),
    ("yum", "install"): ("", "end it with yum clean all", ("/var/cache/yum",)),
    ("dnf", "install"): ("", "end it with dnf clean all", ("/var/cache/dnf", "/var/cache/libdnf5")),
}
_TOOLS = (
    "build-essential build-base gcc g++ clang make cmake golang golang-go cargo rustc maven gradle default-jdk "
    "python3-dev python-dev"
).split()
_INSTALLERS = ("apt-get", "apt", "apk", "yum", "dnf", "microdnf", "zypper")
_DEPENDENCIES = {
    ("npm", "install"): "package.json and package-lock.json",
    ("npm", "ci"): "package.json and package-lock.json",
    ("yarn", "install"): "package.json and yarn.lock",
    ("pnpm", "install"): "package.json and pnpm-lock.yaml",
    ("pip", "install"): "requirements.txt",
    ("pip3", "install"): "requirements.txt",
    ("bundle", "install"): "Gemfile and Gemfile.lock",
    ("composer", "install"): "composer.json and composer.lock",
    ("go", "mod"): "go.mod and go.sum",
    ("cargo", "fetch"): "Cargo.toml and Cargo.lock",
    ("mvn", "dependency:go-offline"): "pom.xml",
}
_ARCHIVE = re.compile(r".*\.(?:tar|tgz|tbz2?|txz|tzst|tar\.(?:gz|bz2|xz|zst|lzma))", re.IGNORECASE)
_SECRET_FILE = re.compile(
    r"(?:.*/)?(?:\.env(?:\.(?!example|sample|template).*)?|id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.npmrc|\.pypirc|"
    r"\.git-credentials|\.aws/credentials|\.docker/config\.json|.*\.(?:pem|key|pfx|p12|keystore|jks))",
    re.IGNORECASE,
)


def advise(plan: Plan, surroundings: Surroundings, findings: Findings) -> None:
    """Look at the stages that are the image."""
    stages = _shipped(plan)
    for stage in stages:
        _Stage(stage, surroundings, findings).advise()
    _advise_bases(plan, findings)
    _advise_user(stages, surroundings, findings)


def _shipped(plan: Plan) -> list[PlannedStage]:
    """The target's stage and those below it, the lowest first."""
    stages = [plan.stages[plan.target]]
    while isinstance(origin := stages[-1].base, StageOrigin):
        stages.append(plan.stages[origin.index])
    return stages[::-1]


def _advise_bases(plan: Plan, findings: Findings) -> None:
    for index in plan.order:
        stage = plan.stages[index]
        if isinstance(stage.base, ImageOrigin) and _is_mutable(stage.base.name):
            start = stage.stage.start
            findings.report(rules.MUTABLE_BASE_TAG, start.location, stage.base.name, comments=start.comments)


def _is_mutable(name: str) -> bool:
    _, _, tag = name.rpartition("/")[2].partition(":")
    return "@" not in name and tag in ("", "latest")


def _advise_user(stages: list[PlannedStage], surroundings: Surroundings, findings: Findings) -> None:
    users = [each for stage in stages for each in stage.stage.instructions if isinstance(each, types.User)]
    base = surroundings.bases.get(stages[0].base.name) if isinstance(stages[0].base, ImageOrigin) else None
    user = users[-1].user if users else (base.user if base else "")
    if user.partition(":")[0] in ("", "root", "0"):
        last = users[-1] if users else stages[-1].stage.start
        findings.report(rules.ROOT_USER, last.location, comments=last.comments)


@dataclass(frozen=True, slots=True)
class _Stage:
    planned: PlannedStage
    surroundings: Surroundings
    findings: Findings

    def report(self, rule: rules.Rule, instruction: types.Instruction, *values: str) -> None:
        self.findings.report(rule, instruction.location, *values, comments=instruction.comments)

    def advise(self) -> None:
        everything: types.Transfer | None = None
        for instruction in self.planned.stage.instructions:
            if isinstance(instruction, types.Run):
                self.run(instruction, calls(instruction), everything)
            elif isinstance(instruction, types.Copy | types.Add):
                self.transfer(instruction)
                everything = instruction if _copies_all(instruction) else everything
        self.rows()

    def run(self, run: types.Run, made: tuple[Call, ...], everything: types.Transfer | None) -> None:
        if made and all(map(_cleans, made)):
            self.report(rules.CLEANUP_IN_ANOTHER_LAYER, run, str(made[0]))
            return
        for call in made:
            self.packages(run, call, made)
            self.dependencies(run, call, everything)

    def packages(self, run: types.Run, call: Call, made: tuple[Call, ...]) -> None:
        action = call.words[0] if call.words else ""
        if call.program in ("apt-get", "apt") and action in ("update", "install"):
            if not _removes(made, _LISTS) and not _cached(run, (_LISTS, "/var/lib/apt", "/var/cache/apt")):
                self.report(rules.APT_LISTS_KEPT, run, f"{call.program} {action}")
            if action == "install" and not any("install-recommends" in flag.lower() for flag in call.flags):
                self.report(rules.RECOMMENDED_PACKAGES, run, f"{call.program} {action}")
        if (cache := _CACHES.get((call.program, action))) and not self._clean(run, call, made, cache):
            self.report(rules.PACKAGE_CACHE_KEPT, run, f"{call.program} {action}", cache[1])
        if call.program in _INSTALLERS and action in ("install", "add"):
            for tool in (word for word in call.words[1:] if word.partition("=")[0] in _TOOLS):
                self.report(rules.BUILD_TOOLS_KEPT, run, tool)

    def _clean(
        self, run: types.Run, call: Call, made: tuple[Call, ...], cache: tuple[str, str, tuple[str, ...]]
    ) -> bool:
        flag, _, places = cache
        cleaned = any(other.program == call.program and other.words[:1] == ("clean",) for other in made)
        removed = any(_removes(made, place) for place in places)
        return (bool(flag) and flag in call.flags) or cleaned or removed or _cached(run, places)

    def dependencies(self, run: types.Run, call: Call, everything: types.Transfer | None) -> None:
        names = _DEPENDENCIES.get((call.program, call.words[0] if call.words else ""))
        if everything is None or names is None:
            return
        if call.program in ("pip", "pip3") and not ({"-r", "--requirement"} & set(call.flags)):
            return
        self.report(rules.DEPENDENCIES_AFTER_SOURCES, run, str(call), names)

    def transfer(self, instruction: types.Copy | types.Add) -> None:
        if isinstance(instruction, types.Copy) and instruction.origin:
            return
        if _copies_all(instruction) and self.surroundings.ignored is not None and not self.surroundings.ignored:
            self.report(rules.MISSING_DOCKERIGNORE, instruction, instruction.name)
        for source in instruction.sources:
            if isinstance(instruction, types.Add) and _plain(source) and instruction.unpack is None:
                self.report(rules.ADD_INSTEAD_OF_COPY, instruction, source)
            if _SECRET_FILE.fullmatch(source):
                self.report(rules.SECRET_FILE_COPIED, instruction, instruction.name, source)

    def rows(self) -> None:
        for row in self._rows():
            if len(row) >= _ROW:
                self.report(rules.CONSECUTIVE_RUNS, row[0], str(len(row)), str(len(row)))

    def _rows(self) -> Iterator[list[types.Run]]:
        row: list[types.Run] = []
        for instruction in self.planned.stage.instructions:
            if isinstance(instruction, types.Run) and not instruction.mount_flags:
                row.append(instruction)
            else:
                yield row
                row = []
        yield row


def _cleans(call: Call) -> bool:
    return call.program == "rm" or call.words[:1] in [(word,) for word in _CLEANERS.get(call.program, ())]


def _removes(made: tuple[Call, ...], place: str) -> bool:
    """Whether a call removes what is at a place, or what it is in."""
    removed = [word.rstrip("/*") for call in made if call.program == "rm" for word in call.words]
    return any(path and (place + "/").startswith(path + "/") for path in removed)


def _cached(run: types.Run, places: tuple[str, ...]) -> bool:
    """Whether a cache mount is at one of the places."""
    return any("type=cache" in flag and any(place in flag for place in places) for flag in run.mount_flags)


def _copies_all(instruction: types.Transfer) -> bool:
    here = not (isinstance(instruction, types.Copy) and instruction.origin)
    return here and any(source in (".", "./", "/", "*", "./*") for source in instruction.sources)


def _plain(source: str) -> bool:
    """Whether ADD does nothing with a source that COPY would not do."""
    return not is_remote(source) and not _ARCHIVE.fullmatch(source) and not any(s in source for s in "*?[$")
