"""The builder's request for what ``POST /build`` says."""

from collections.abc import Iterable, Mapping

from cove.build.builder import CacheTarget, Request
from cove.build.outputs.annotations import Annotations
from cove.build.outputs.outputs import Output
from cove.build.planning.dialect import BuildKit, Classic
from cove.build.planning.planning import Wishes
from cove.build.solving.running import Limits
from cove.errors import InvalidArgument
from cove.platform import Platform
from cove.reference import Reference
from cove.wire.builds import BuildOptions

MADE = ("", "image", "moby", "docker", "cacheonly")
ENTITLEMENTS = ("network.host", "security.insecure", "device")
"""What a step has only if whoever asks for the build allows it."""
WRITTEN = ("oci", "tar", "local", "registry")
"""Outputs that our client writes or pushes, once there is the image."""


def request_names(options: BuildOptions) -> list[Reference]:
    """What the image is to be called, each once. Raises InvalidArgument."""
    found: dict[Reference, None] = {}
    named = [name for output in options.outputs for name in output.get("name", "").split(",")]
    for text in filter(None, [*options.tags, *named]):
        try:
            reference = Reference.parse(text)
        except InvalidArgument as error:
            raise InvalidArgument(f'invalid tag "{text}": {error.message}') from error
        if reference.digest:
            raise InvalidArgument("build tag cannot contain a digest")
        found[reference.with_default_tag()] = None
    return list(found)


def build_request(options: BuildOptions) -> Request:
    """The builder's request. Raises InvalidArgument."""
    names = request_names(options)
    for word in options.allow:
        if word.partition("=")[0] not in ENTITLEMENTS:
            raise InvalidArgument(f"unknown entitlement {word}")
    given = {name: value for name, value in options.arguments.items() if value is not None}
    epoch = given.get("SOURCE_DATE_EPOCH", "")
    if epoch and not epoch.isdecimal():
        raise InvalidArgument(f"invalid SOURCE_DATE_EPOCH: {epoch}")
    return Request(
        dockerfile=options.dockerfile,
        target=options.target,
        platforms=[Platform.parse(text) for text in options.platforms],
        wishes=Wishes(
            limits=limits(options),
            arguments=given,
            insecure="security.insecure" in options.allow,
            host_network="network.host" in options.allow or options.network == "host",
            devices=_allowed_devices(options.allow),
        ),
        no_cache=options.no_cache,
        no_cache_filter=options.no_cache_filter,
        labels=options.labels,
        dialect=BuildKit() if options.dialect == "buildkit" else Classic(),
        epoch=int(epoch) if epoch else None,
        debug=options.debug,
        squash=options.squash,
        attestations=options.attestations,
        vcs=options.vcs,
        cache_from=options.cache_from,
        cache_to=[_cache_target(given) for given in options.cache_to],
        rewrite=any(output.get("rewrite-timestamp") == "true" for output in options.outputs),
        outputs=[_output(options, names)],
    )


def _allowed_devices(allow: Iterable[str]) -> set[str]:
    """``device`` allows all, ``device=NAME`` one or a kind."""
    parted = [word.partition("=") for word in allow]
    return {name or "*" for word, _, name in parted if word == "device"}


def _cache_target(given: Mapping[str, str]) -> CacheTarget:
    """Raises InvalidArgument for a kind of cache that there is none of."""
    everything = given.get("mode", "min") == "max"
    if given.get("mode", "min") not in ("min", "max"):
        raise InvalidArgument(f"cache-to: unknown mode {given['mode']!r}")
    if given.get("type") == "inline":
        return CacheTarget(None, everything)
    if given.get("type") != "image" or not given.get("ref"):
        raise InvalidArgument(f"cache-to: unknown cache exporter: {given.get('type', '')!r}")
    return CacheTarget(Reference.parse(given["ref"]).with_default_tag(), everything)


def _output(options: BuildOptions, names: list[Reference]) -> Output:
    """An image, or nothing when nothing else is asked for. Raises InvalidArgument for what nobody would write."""
    types = {output.get("type", "") for output in options.outputs}
    for kind in types:
        if kind not in (*MADE, *WRITTEN):
            raise InvalidArgument(f'exporter "{kind}" could not be found')
        if kind in WRITTEN and not options.events:
            raise InvalidArgument(
                f"outputs: type={kind} is written by cove build; this request makes an image, docker or cacheonly"
            )
    if any(output.get("push") == "true" for output in options.outputs) and not options.events:
        raise InvalidArgument("outputs: push=true is done by cove build; here push the image when it is built")
    attributes = {name: value for output in options.outputs for name, value in output.items()}
    annotations = Annotations.parse(options.annotations, attributes)
    stored_as = [Reference.parse(options.stored_as).with_default_tag()] if options.stored_as else []
    return Output("cacheonly" if types == {"cacheonly"} else "image", names, stored_as, annotations)


def limits(options: BuildOptions) -> Limits:
    """What the build's containers may use."""
    return Limits(
        network=options.network if options.network != "default" else "",
        extra_hosts=options.extra_hosts,
        shm_size=options.shm_size,
        ulimits=tuple((limit.name, limit.soft, limit.hard) for limit in options.ulimits),
        memory=options.memory,
        memory_swap=options.memory_swap,
        cpu_shares=options.cpu_shares,
        cpu_period=options.cpu_period,
        cpu_quota=options.cpu_quota,
        cpuset_cpus=options.cpuset_cpus,
        cpuset_mems=options.cpuset_mems,
        cgroup_parent=options.cgroup_parent,
        security_opt=options.security_opt,
        isolation=options.isolation,
    )
