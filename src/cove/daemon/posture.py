"""What is unsafe in the daemon's configuration: one table, over its settings."""

from cove.daemon.settings import Settings
from cove.engine.doctor.check import Check


def _tcp(settings: Settings) -> str:
    return ", ".join(address for address in settings.listen_addresses() if address.startswith("tcp://"))


def _plain(settings: Settings) -> str:
    encrypted = settings.tls or settings.tlsverify or settings.tlscert
    return "" if encrypted else _tcp(settings)


def _unverified(settings: Settings) -> str:
    return "" if settings.tlsverify or _plain(settings) else _tcp(settings)


def unprotected(settings: Settings) -> list[str]:
    """Addresses that anyone may use who reaches them, as URLs."""
    if settings.tlsverify:
        return []
    scheme = "http" if _plain(settings) else "https"
    listened = (address.removeprefix("tcp://") for address in settings.listen_addresses() if address.startswith("tcp:"))
    return [f"{scheme}://{address}" for address in listened]


CHECKS: tuple[Check[Settings], ...] = (
    Check(
        "tcp-without-tls",
        "high",
        _plain,
        "whoever reaches the address is root on this machine, and whoever is on the way reads all",
        "use --tlsverify with certificates, or ssh://, and drop --allow-unauthenticated-tcp",
    ),
    Check(
        "tls-without-verification",
        "high",
        _unverified,
        "the connection is encrypted, and whoever makes one is root on this machine",
        "use --tlsverify with --tlscacert",
    ),
    Check(
        "default-seccomp-unconfined",
        "high",
        lambda settings: settings.seccomp_profile if settings.seccomp_profile == "unconfined" else "",
        "containers can make every system call, those with the youngest bugs too",
        "drop --seccomp-profile unconfined",
    ),
    Check(
        "no-firewall",
        "high",
        lambda settings: "" if settings.iptables else "iptables is off",
        "networks are not kept apart, and no port is published",
        "drop --iptables=false",
    ),
    Check(
        "insecure-registries",
        "medium",
        lambda settings: ", ".join(settings.insecure_registries),
        "whoever is on the way there can give you another image",
        "give the registry a certificate, and the host its authority",
    ),
    Check(
        "insecure-mirrors",
        "medium",
        lambda settings: ", ".join(url for url in settings.registry_mirrors if url.startswith("http://")),
        "whoever is on the way there sees what is pulled, and can answer in its place",
        "use https:// for the mirror",
    ),
    Check(
        "audit-log-off",
        "medium",
        lambda settings: "audit-log is none" if settings.audit_log == "none" else "",
        "who did what is not written down",
        "drop --audit-log none",
    ),
    Check(
        "shareable-ipc",
        "low",
        lambda settings: settings.default_ipc_mode if settings.default_ipc_mode == "shareable" else "",
        "each container's shared memory may be joined by others",
        "drop --default-ipc-mode shareable, and ask for it where it is needed",
    ),
    Check(
        "host-cgroup-namespace",
        "low",
        lambda settings: settings.default_cgroupns_mode if settings.default_cgroupns_mode == "host" else "",
        "containers see the control groups of all others",
        "drop --default-cgroupns-mode host",
    ),
    Check(
        "no-userns-remap",
        "low",
        lambda settings: "" if settings.userns_remap else "off",
        "root in a container is root on the host as soon as it gets out",
        "use --userns-remap default where your images allow it, and --user where not",
    ),
    Check(
        "new-privileges-by-default",
        "low",
        lambda settings: "" if settings.no_new_privileges else "off",
        "setuid programs in containers can raise a user to root",
        "use --no-new-privileges where your images allow it",
    ),
    Check(
        "inter-container-traffic",
        "low",
        lambda settings: "icc is on" if settings.icc else "",
        "containers on the default bridge reach every port of each other",
        "use --icc=false, or networks of their own",
    ),
    Check(
        "metrics-for-all",
        "low",
        lambda settings: (
            "" if settings.metrics_addr.startswith(("127.", "localhost:", "[::1]:")) else settings.metrics_addr
        ),
        "whoever reaches the address can read how the engine is used",
        "use an address of the loopback",
    ),
)
"""Settings that the daemon refuses by itself are not here."""
