"""The flags of ``cove build``: those of ``docker build``, of both builders, and ours."""

from __future__ import annotations

from cove.flags import BOOL, INT, LIST, STRING, STRINGS, Flag

FLAGS = (
    Flag("add-host", LIST, 'Add a custom host-to-IP mapping (format: "host:ip")'),
    Flag("allow", STRINGS, 'Allow extra privileged entitlement (e.g., "network.host", "security.insecure")'),
    Flag("annotation", LIST, "Add annotation to the image"),
    Flag("attest", LIST, 'Attestation parameters (format: "type=sbom,generator=image")'),
    Flag("build-arg", LIST, "Set build-time variables"),
    Flag("build-context", LIST, "Additional build contexts (e.g., name=path)"),
    Flag("cache-from", LIST, 'External cache sources (e.g., "user/app:cache", "type=local,src=path/to/dir")'),
    Flag("cache-to", LIST, 'Cache export destinations (e.g., "user/app:cache", "type=local,dest=path/to/dir")'),
    Flag("call", STRING, 'Set method for evaluating build ("build", "check", "outline", "targets")', default="build"),
    Flag("cgroup-parent", STRING, 'Set the parent cgroup for the "RUN" instructions during build'),
    Flag("check", BOOL, 'Shorthand for "--call=check"'),
    Flag("compress", BOOL, "Compress the build context using gzip", hidden=True),
    Flag("cpu-period", INT, "Limit the CPU CFS (Completely Fair Scheduler) period"),
    Flag("cpu-quota", INT, "Limit the CPU CFS (Completely Fair Scheduler) quota"),
    Flag("cpu-shares", INT, "CPU shares (relative weight)", "c"),
    Flag("cpuset-cpus", STRING, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag("cpuset-mems", STRING, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag("debug", BOOL, "Open a shell in the step that failed"),
    Flag("disable-content-trust", BOOL, "Skip image verification", default=True, hidden=True),
    Flag("explain", BOOL, "Say for every step why it was found in the cache, or what differs"),
    Flag("file", STRING, 'Name of the Dockerfile (default: "PATH/Dockerfile")', "f"),
    Flag("force-rm", BOOL, "Always remove intermediate containers", hidden=True),
    Flag("iidfile", STRING, "Write the image ID to a file"),
    Flag("isolation", STRING, "Container isolation technology"),
    Flag("label", LIST, "Set metadata for an image"),
    Flag("load", BOOL, 'Shorthand for "--output=type=docker"'),
    Flag("memory", STRING, "Memory limit", "m"),
    Flag("memory-swap", STRING, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    Flag("metadata-file", STRING, "Write build result metadata to a file"),
    Flag("network", STRING, 'Set the networking mode for the "RUN" instructions during build', default="default"),
    Flag("no-cache", BOOL, "Do not use cache when building the image"),
    Flag("no-cache-filter", STRINGS, "Do not cache specified stages"),
    Flag("output", LIST, 'Output destination (format: "type=local,dest=path")', "o"),
    Flag("platform", STRINGS, "Set target platform for build"),
    Flag(
        "progress", STRING, 'Set type of progress output ("auto", "plain", "tty", "quiet", "rawjson")', default="auto"
    ),
    Flag("provenance", STRING, 'Shorthand for "--attest=type=provenance"'),
    Flag("pull", BOOL, "Always attempt to pull all referenced images"),
    Flag("push", BOOL, "Push the image to its registry when it is built"),
    Flag("quiet", BOOL, "Suppress the build output and print image ID on success", "q"),
    Flag("rm", BOOL, "Remove intermediate containers after a successful build", default=True, hidden=True),
    Flag("sbom", STRING, 'Shorthand for "--attest=type=sbom"'),
    Flag("secret", LIST, 'Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")'),
    Flag("security-opt", STRINGS, "Security options"),
    Flag("shm-size", STRING, "Shared memory size for build containers"),
    Flag("squash", BOOL, "Squash newly built layers into a single new layer"),
    Flag(
        "ssh", LIST, 'SSH agent socket or keys to expose to the build (format: "default|<id>[=<socket>|<key>[,<key>]]")'
    ),
    Flag("tag", LIST, 'Name and optionally a tag (format: "name:tag")', "t"),
    Flag("target", STRING, "Set the target build stage to build"),
    Flag("ulimit", LIST, "Ulimit options"),
)
