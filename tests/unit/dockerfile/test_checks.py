"""The checks: for each rule what it finds and what it lets pass."""

import pytest

from cove.dockerfile import Options
from cove.dockerfile.checks import RULES, Base, Report, Surroundings, check_text
from cove.dockerfile.ignore import Matcher
from cove.platform import Platform

AMD = Platform("linux", "amd64")
BASES = {
    "busybox:1": Base({"FROM_BASE": "x"}),
    "shelled:1": Base(shell=True),
    "arm:1": Base(platform=Platform("linux", "arm64")),
}


def checked(text: str, *ignored: str, advice: bool = False, target: str = "", **arguments: str) -> Report:
    surroundings = Surroundings(BASES, Matcher(ignored))
    return check_text(text.encode(), Options(target, arguments, AMD), surroundings, advice=advice)


def lines(report: Report) -> list[str]:
    assert report.error is None, report.error
    return [finding.line() for finding in report.findings]


BUILDKIT = [
    ("FROM busybox:1 AS Base\n", ["StageNameCasing: Stage name 'Base' should be lowercase (line 1)"]),
    ("FROM busybox:1 as base\n", ["FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"]),
    ("from busybox:1 as base\n", []),
    ("FROM busybox:1\nRUN a \\\n\n  b\n", ["NoEmptyContinuation: Empty continuation line (line 4)"]),
    (
        "FROM busybox:1\nrun a\nRUN b\nRun c\n",
        [
            "ConsistentInstructionCasing: Command 'run' should match the case of the command "
            "majority (uppercase) (line 2)",
            "ConsistentInstructionCasing: Command 'Run' should match the case of the command "
            "majority (uppercase) (line 4)",
        ],
    ),
    (
        "FROM busybox:1 AS a\nFROM busybox:1 AS a\n",
        ['DuplicateStageName: Duplicate stage name "a", stage names should be unique (line 2)'],
    ),
    (
        "FROM busybox:1 AS scratch\n",
        ['ReservedStageName: Stage name should not use the same name as reserved stage "scratch" (line 1)'],
    ),
    (
        "FROM busybox:1\nCMD a\nENTRYPOINT b\n",
        [
            "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior "
            "related to OS signals "
            "(line 2)",
            "JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended "
            "behavior related to OS "
            "signals (line 3)",
        ],
    ),
    ('FROM busybox:1\nSHELL ["/bin/ash", "-c"]\nCMD a\n', []),
    ("FROM shelled:1\nCMD a\n", []),
    (
        "FROM busybox:1\nMAINTAINER me\n",
        ["MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)"],
    ),
    (
        "ARG VERSION=1\nFROM busybox:1$VERSIO\n",
        ["UndefinedArgInFrom: FROM argument 'VERSIO' is not declared (did you mean VERSION?) (line 2)"],
    ),
    (
        "FROM busybox:1\nWORKDIR a\nWORKDIR b\nFROM busybox:1\nWORKDIR /a\nWORKDIR b\n",
        [
            'WorkdirRelativePath: Relative workdir "a" can have unexpected results if the base image changes (line 2)',
        ],
    ),
    (
        "FROM busybox:1\nARG NAME=1\nENV A=$NAM B=$FROM_BASE C=$PATH\n",
        ["UndefinedVar: Usage of undefined variable '$NAM' (did you mean $NAME?) (line 3)"],
    ),
    ("FROM busybox:1\nARG NAME\nENV A=$NAME\n", []),
    ("FROM unknown:1\nENV A=$B\n", []),
    ("FROM busybox:1\nCOPY <<EOF /x\n$B\nEOF\n", ["UndefinedVar: Usage of undefined variable '$B' (line 2)"]),
    (
        'FROM busybox:1\nCMD ["a"]\nCMD ["b"]\nFROM busybox:1\nCMD ["c"]\n',
        [
            "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the "
            "same stage because only "
            "the last one will be used (line 2)"
        ],
    ),
    (
        "FROM busybox:1\nENV a b\nLABEL c d\n",
        [
            'LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format (line 2)',
            'LegacyKeyValueFormat: "LABEL key=value" should be used instead of legacy "LABEL key '
            'value" format (line 3)',
        ],
    ),
    (
        "FROM arm:1\n",
        [
            'InvalidBaseImagePlatform: Base image arm:1 was pulled with platform "linux/arm64", '
            'expected "linux/amd64" for '
            "current build (line 1)"
        ],
    ),
    (
        "FROM --platform=$TARGETPLATFORM busybox:1\n",
        [
            "RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is "
            "redundant as this is the "
            "default behavior (line 1)"
        ],
    ),
    (
        "FROM busybox:1\nARG API_KEY\nENV DB_PASSWORD=x PUBLIC_KEY=y KEYNOTE=z TOKEN_FILE=f\n",
        [
            'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "API_KEY") (line 2)',
            'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "DB_PASSWORD") (line 3)',
        ],
    ),
    (
        "ARG TAG\nFROM busybox:$TAG\n",
        [
            "InvalidDefaultArgInFrom: Default value for ARG busybox:$TAG results in empty or invalid "
            "base image name (line 2)"
        ],
    ),
    (
        "FROM --platform=linux/amd64 busybox:1 AS x\n",
        [
            "FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "
            '"linux/amd64" (line 1)'
        ],
    ),
    ("FROM --platform=linux/amd64 busybox:1 AS x-amd64\nFROM --platform=$BUILDPLATFORM busybox:1\n", []),
    (
        "FROM busybox:1\nEXPOSE 80/TCP 8080:80\n",
        [
            "ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase (line 2)",
            "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port "
            "mapping, found '8080:80' "
            "(line 2)",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"), BUILDKIT, ids=lambda value: value[0][:24] if isinstance(value, list) and value else None
)
def test_a_rule_of_buildkit(text: str, expected: list[str]) -> None:
    assert sorted(lines(checked(text, TAG="1") if "$TAG" in text else checked(text))) == sorted(expected)


def test_a_description_is_checked_only_when_it_is_asked_for() -> None:
    text = "# what this is\nARG A\n# A is a\nARG A\n# c\nARG A B\n\n# stage\nFROM busybox:1 AS one\n"
    assert lines(checked(text)) == []
    rule = "InvalidDefinitionDescription: Comment for"
    assert lines(checked("# check=experimental=all\n" + text)) == [
        f"{rule} ARG should follow the format: `# A <description>` (line 3)",
        f"{rule} ARG should follow the format: `# <arg_key> <description>` (line 7)",
        f"{rule} FROM should follow the format: `# one <description>` (line 10)",
    ]


def test_a_file_that_is_ignored_cannot_be_copied() -> None:
    text = "FROM busybox:1 AS x\nCOPY a/b c /\nADD ./c https://host/c /\nFROM busybox:1\nCOPY --from=x c /\nCOPY . /\n"
    assert lines(checked(text, "a", "c")) == [
        'CopyIgnoredFile: Attempting to Copy file "a/b" that is excluded by .dockerignore (line 2)',
        'CopyIgnoredFile: Attempting to Copy file "c" that is excluded by .dockerignore (line 2)',
        'CopyIgnoredFile: Attempting to Add file "c" that is excluded by .dockerignore (line 3)',
    ]
    assert lines(checked(text, "c", "!c/d")) == []
    assert 'CopyIgnoredFile: Attempting to Copy file "." that is excluded by .dockerignore (line 6)' in lines(
        checked(text, "**")
    )


@pytest.mark.parametrize(
    ("directive", "expected"),
    [
        ("", {"StageNameCasing", "MaintainerDeprecated"}),
        ("# check=skip=StageNameCasing\n", {"MaintainerDeprecated"}),
        ("# check=skip=StageNameCasing, MaintainerDeprecated\n", {"MaintainerDeprecated"}),
        ("# check=skip=StageNameCasing,MaintainerDeprecated\n", set()),
        ("# check=skip=all;error=true\n", set()),
    ],
)
def test_rules_are_skipped_by_the_directive(directive: str, expected: set[str]) -> None:
    report = checked(directive + "FROM busybox:1 AS X\nMAINTAINER x\n")
    assert {finding.rule.name for finding in report.findings} == expected
    assert report.failure is None


def test_a_comment_skips_rules_for_one_instruction() -> None:
    text = "FROM busybox:1\n# check=skip=MaintainerDeprecated\nMAINTAINER x\nMAINTAINER y\n"
    assert [finding.location.first for finding in checked(text).findings] == [4]


def test_findings_can_be_errors() -> None:
    report = checked("# check=error=true\nFROM busybox:1 AS X\nMAINTAINER x\n")
    assert report.failure is not None
    assert report.failure.message == "lint violation found for rules: MaintainerDeprecated, StageNameCasing"


def test_a_build_argument_stands_in_for_the_directive() -> None:
    text = "# check=skip=all\nFROM busybox:1 AS X\n"
    assert len(checked(text, BUILDKIT_DOCKERFILE_CHECK="error=true").findings) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("skp=all", 'invalid check option "skp"'),
        ("skip", 'invalid check option "skip"'),
        ("error=x", 'failed to parse check option "error=x": strconv.ParseBool: parsing "x": invalid syntax'),
    ],
)
def test_a_directive_that_cannot_be_read_is_an_error(value: str, message: str) -> None:
    report = checked(f"# check={value}\nFROM busybox:1\n")
    assert report.error is not None
    assert report.error.message == f"failed to parse check options: {message}"


def test_what_cannot_be_built_is_in_the_report_with_what_was_found_before() -> None:
    report = checked("FROM busybox:1 AS X\nEXPOSE x\n")
    assert [finding.rule.name for finding in report.findings] == ["StageNameCasing"]
    assert report.error is not None
    assert report.error.message == "invalid containerPort: x"
    assert checked("FRO x\n").error is not None


def test_only_what_a_target_needs_is_gone_through() -> None:
    text = "FROM busybox:1 AS a\nWORKDIR a\nFROM busybox:1 AS b\nWORKDIR b\n"
    assert [finding.location.first for finding in checked(text).findings] == [2, 4]
    assert [finding.location.first for finding in checked(text, target="b").findings] == [4]


ADVICE = [
    ("RUN make-it\nRUN rm -rf /tmp/it", ["CleanupInAnotherLayer"]),
    ("RUN apt-get clean && rm -rf /x", ["CleanupInAnotherLayer"]),
    ("RUN make-it && rm -rf /tmp/it", []),
    ("RUN apt-get update && apt-get install -y --no-install-recommends curl", ["AptListsKept", "AptListsKept"]),
    ("RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*", []),
    ("RUN apt-get update \\\n && apt-get install -y --no-install-recommends curl \\\n && rm -rf /var/lib/apt", []),
    (
        "RUN --mount=type=cache,target=/var/lib/apt --mount=type=cache,target=/var/cache/apt apt-get update && "
        "apt-get -y install curl",
        ["RecommendedPackages"],
    ),
    ("RUN <<EOF\napt-get update\nEOF", ["AptListsKept"]),
    ("RUN apk add curl", ["PackageCacheKept"]),
    ("RUN apk add --no-cache curl", []),
    ("RUN pip install flask", ["PackageCacheKept"]),
    ("RUN --mount=type=cache,target=/root/.cache pip install flask", []),
    ("RUN dnf install -y curl && dnf clean all", []),
    ("RUN dnf install -y curl", ["PackageCacheKept"]),
    ("RUN apk add --no-cache gcc=1 curl", ["BuildToolsKept"]),
    ("COPY . /src", ["MissingDockerignore"]),
    ("COPY src /src", []),
    ("RUN a\nRUN b\nRUN c", ["ConsecutiveRuns"]),
    ("RUN a\nRUN b\nCOPY c /\nRUN d", []),
    ("COPY . /src\nRUN npm ci", ["MissingDockerignore", "DependenciesAfterSources"]),
    ("COPY package.json /src\nRUN npm ci\nCOPY src /src", []),
    ("ADD src /src", ["AddInsteadOfCopy"]),
    ("ADD a.tar.gz /src\nADD https://host/x /\nADD https://host/x.git /", []),
    ("COPY .env /src", ["SecretFileCopied"]),
    ("COPY keys/id_rsa .env.example /src/", ["SecretFileCopied"]),
    ("RUN echo 'open", []),
    ('RUN ["rm", "-rf", "/x"]', ["CleanupInAnotherLayer"]),
]


@pytest.mark.parametrize(("body", "expected"), ADVICE)
def test_advice(body: str, expected: list[str]) -> None:
    report = checked(f"FROM busybox:1\n{body}\nUSER me\n", advice=True)
    assert report.error is None
    names = [finding.rule.name for finding in report.findings]
    assert names == list(dict.fromkeys(expected)) or names == expected
    assert all(RULES[name].advice for name in names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM busybox\nUSER me\n", ["MutableBaseTag"]),
        ("FROM host:5000/busybox:latest\nUSER me\n", ["MutableBaseTag"]),
        ("FROM busybox@sha256:" + "a" * 64 + "\nUSER me\n", []),
        ("FROM scratch\nUSER me\n", []),
        ("FROM busybox:1\n", ["RootUser"]),
        ("FROM busybox:1\nUSER me\nUSER root:x\n", ["RootUser"]),
        ("FROM busybox:1 AS unused\nRUN apk add gcc\nFROM busybox:1\nUSER 7\n", []),
        ("FROM busybox:1 AS below\nRUN apk add x\nFROM below\nUSER 7\n", ["PackageCacheKept"]),
        ("# check=skip=RootUser\nFROM busybox:1\n", []),
    ],
)
def test_advice_on_bases_and_users(text: str, expected: list[str]) -> None:
    assert [finding.rule.name for finding in checked(text, advice=True).findings] == expected


def test_a_context_with_an_ignore_file_may_be_copied() -> None:
    assert not checked("FROM busybox:1\nCOPY . /\nUSER me\n", ".git", advice=True).findings


def test_the_report_shows_each_finding_where_it_is() -> None:
    text = "FROM busybox:1\nWORKDIR a\nRUN true\n"
    assert checked(text).text("Dockerfile", text) == (
        "Check complete, 1 warning has been found!\n"
        "\n"
        "WARNING: WorkdirRelativePath\n"
        'Relative workdir "a" can have unexpected results if the base image changes\n'
        "Dockerfile:2\n"
        "--------------------\n"
        "   1 |     FROM busybox:1\n"
        "   2 | >>> WORKDIR a\n"
        "   3 |     RUN true\n"
        "--------------------\n"
    )
    assert checked("FROM busybox:1\n").text("Dockerfile", "") == "Check complete, no warnings found.\n"


def test_there_are_all_rules_of_buildkit_and_each_says_what_it_is_about() -> None:
    ours = [rule for rule in RULES.values() if rule.advice]
    assert len(RULES) - len(ours) == 22
    assert len(ours) == 12
    assert all(rule.description and rule.message for rule in RULES.values())
