"""The rules that a Dockerfile is checked by: those of BuildKit, with its names and words, and advice of our own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """``message`` is a format for what it found, ``description`` says what it is about."""

    name: str
    description: str
    message: str
    experimental: bool = False
    """Whether it is only checked when asked for."""
    advice: bool = False
    """Whether it is ours: about size, speed and safety of the image, and never about whether it can be built."""


STAGE_NAME_CASING = Rule("StageNameCasing", "Stage names should be lowercase", "Stage name '{}' should be lowercase")
FROM_AS_CASING = Rule(
    "FromAsCasing",
    "The 'as' keyword should match the case of the 'from' keyword",
    "'{1}' and '{0}' keywords' casing do not match",
)
NO_EMPTY_CONTINUATION = Rule(
    "NoEmptyContinuation",
    "Empty continuation lines will become errors in a future release",
    "Empty continuation line",
)
CONSISTENT_INSTRUCTION_CASING = Rule(
    "ConsistentInstructionCasing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
    "Command '{}' should match the case of the command majority ({})",
)
DUPLICATE_STAGE_NAME = Rule(
    "DuplicateStageName", "Stage names should be unique", "Duplicate stage name {}, stage names should be unique"
)
RESERVED_STAGE_NAME = Rule(
    "ReservedStageName",
    "Reserved words should not be used as stage names",
    "Stage name should not use the same name as reserved stage {}",
)
JSON_ARGS_RECOMMENDED = Rule(
    "JSONArgsRecommended",
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
)
MAINTAINER_DEPRECATED = Rule(
    "MaintainerDeprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    "Maintainer instruction is deprecated in favor of using label",
)
UNDEFINED_ARG_IN_FROM = Rule(
    "UndefinedArgInFrom", "FROM command must use declared ARGs", "FROM argument '{}' is not declared{}"
)
WORKDIR_RELATIVE_PATH = Rule(
    "WorkdirRelativePath",
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base "
    "image changes",
    "Relative workdir {} can have unexpected results if the base image changes",
)
UNDEFINED_VAR = Rule(
    "UndefinedVar", "Variables should be defined before their use", "Usage of undefined variable '${}'{}"
)
MULTIPLE_INSTRUCTIONS_DISALLOWED = Rule(
    "MultipleInstructionsDisallowed",
    "Multiple instructions of the same type should not be used in the same stage",
    "Multiple {} instructions should not be used in the same stage because only the last one will be used",
)
LEGACY_KEY_VALUE_FORMAT = Rule(
    "LegacyKeyValueFormat",
    "Legacy key/value format with whitespace separator should not be used",
    '"{0} key=value" should be used instead of legacy "{0} key value" format',
)
INVALID_BASE_IMAGE_PLATFORM = Rule(
    "InvalidBaseImagePlatform",
    "Base image platform does not match expected target platform",
    "Base image {} was pulled with platform {}, expected {} for current build",
)
REDUNDANT_TARGET_PLATFORM = Rule(
    "RedundantTargetPlatform",
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
)
SECRETS_USED_IN_ARG_OR_ENV = Rule(
    "SecretsUsedInArgOrEnv",
    "Sensitive data should not be used in the ARG or ENV commands",
    "Do not use ARG or ENV instructions for sensitive data ({} {})",
)
INVALID_DEFAULT_ARG_IN_FROM = Rule(
    "InvalidDefaultArgInFrom",
    "Default value for global ARG results in an empty or invalid base image name",
    "Default value for ARG {} results in empty or invalid base image name",
)
FROM_PLATFORM_FLAG_CONST_DISALLOWED = Rule(
    "FromPlatformFlagConstDisallowed",
    "FROM --platform flag should not use a constant value",
    "FROM --platform flag should not use constant value {}",
)
COPY_IGNORED_FILE = Rule(
    "CopyIgnoredFile",
    "Attempting to Copy file that is excluded by .dockerignore",
    "Attempting to {} file {} that is excluded by .dockerignore",
)
INVALID_DEFINITION_DESCRIPTION = Rule(
    "InvalidDefinitionDescription",
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not "
    "intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    "Comment for {} should follow the format: `# {} <description>`",
    experimental=True,
)
EXPOSE_PROTO_CASING = Rule(
    "ExposeProtoCasing",
    "Protocol in EXPOSE instruction should be lowercase",
    "Defined protocol '{}' in EXPOSE instruction should be lowercase",
)
EXPOSE_INVALID_FORMAT = Rule(
    "ExposeInvalidFormat",
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future "
    "release",
    "EXPOSE instruction should not define an IP address or host-port mapping, found '{}'",
)

CLEANUP_IN_ANOTHER_LAYER = Rule(
    "CleanupInAnotherLayer",
    "Files that are removed by a later instruction stay in the image; remove them in the RUN that makes them",
    "{} makes the image no smaller: the files stay in the layer that made them",
    advice=True,
)
APT_LISTS_KEPT = Rule(
    "AptListsKept",
    "Package lists are of no use in an image; remove /var/lib/apt/lists in the RUN that fetches them, or keep them in "
    "a cache mount",
    "{} leaves the package lists in the image: end it with rm -rf /var/lib/apt/lists/*",
    advice=True,
)
PACKAGE_CACHE_KEPT = Rule(
    "PackageCacheKept",
    "What a package manager caches is of no use in an image; turn its cache off, or keep it in a cache mount",
    "{} leaves its cache in the image: {}",
    advice=True,
)
RECOMMENDED_PACKAGES = Rule(
    "RecommendedPackages",
    "apt-get installs more than was asked for unless it is told not to",
    "{} installs recommended packages too: add --no-install-recommends",
    advice=True,
)
MUTABLE_BASE_TAG = Rule(
    "MutableBaseTag",
    "A base image should be named with a tag or a digest that does not change, so that builds can be repeated",
    "Base image {} is whatever latest is on the day of the build",
    advice=True,
)
ROOT_USER = Rule(
    "RootUser",
    "Containers should not run as root when they need not",
    "The image runs as root: add a USER",
    advice=True,
)
MISSING_DOCKERIGNORE = Rule(
    "MissingDockerignore",
    "A whole context should not be copied without a .dockerignore that leaves out what does not belong into an image",
    "{} copies all of the context, and there is no .dockerignore",
    advice=True,
)
CONSECUTIVE_RUNS = Rule(
    "ConsecutiveRuns",
    "Each RUN makes a layer; RUNs that belong together can be one, with && or a here-document",
    "{} RUN instructions in a row make {} layers",
    advice=True,
)
DEPENDENCIES_AFTER_SOURCES = Rule(
    "DependenciesAfterSources",
    "Dependencies are installed again at every change when all sources are copied before; copy what names them first",
    "{} runs again whenever any file of the context changes: copy {} alone before it",
    advice=True,
)
BUILD_TOOLS_KEPT = Rule(
    "BuildToolsKept",
    "Compilers and the like should stay in a stage of their own, from which the result is copied",
    "{} stays in the image: build in another stage and COPY --from it",
    advice=True,
)
ADD_INSTEAD_OF_COPY = Rule(
    "AddInsteadOfCopy",
    "COPY should be used for files of the context; ADD is for archives, URLs and git repositories",
    "ADD of {} does what COPY does",
    advice=True,
)
SECRET_FILE_COPIED = Rule(
    "SecretFileCopied",
    "Credentials that are copied are in the image for everybody to read; use RUN --mount=type=secret",
    "{} {} looks like a secret: use RUN --mount=type=secret",
    advice=True,
)

RULES: dict[str, Rule] = {rule.name: rule for rule in list(globals().values()) if isinstance(rule, Rule)}
"""All rules by name."""
