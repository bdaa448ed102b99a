"""The daemon's flags: which setting each of them gives, and what it tells the user."""

from collections.abc import Callable
from typing import Any, NamedTuple

from cove.daemon import flag_values as values

INERT = "accepted, without effect: "
LATER = "kept, without effect yet: "
"""Begins the help of settings whose feature is not there yet; the daemon warns of those that are given."""


class Option(NamedTuple):
    """``name``: the field of Settings. ``word``: what the help calls the value; by default it follows from the type.

    ``parse``: text to the key's value, to an item of a list, or to a part of a map. ``reloads``: SIGHUP applies a new
    value.
    """

    name: str
    flag: str
    help: str
    word: str = ""
    short: str = ""
    parse: Callable[[str], Any] | None = None
    reloads: bool = False


OPTIONS = (
    Option("data_root", "data-root", "directory of images, containers and volumes"),
    Option("exec_root", "exec-root", "directory of sockets and run-time state"),
    Option("hosts", "host", "address to listen on: unix://, tcp:// or fd://", short="H", parse=values.host),
    Option("pidfile", "pidfile", "file for the daemon's process id", short="p"),
    Option("group", "group", "group that may use the unix socket", short="G"),
    Option("tls", "tls", "serve TCP with TLS; implied by --tlsverify"),
    Option("tlsverify", "tlsverify", "serve TCP with TLS, to clients with a certificate of --tlscacert only"),
    Option("tlscacert", "tlscacert", "certificates that clients' must be signed by"),
    Option("tlscert", "tlscert", "the daemon's certificate"),
    Option("tlskey", "tlskey", "the key of the daemon's certificate"),
    Option(
        "allow_unauthenticated_tcp",
        "allow-unauthenticated-tcp",
        "DANGEROUS: serve TCP to anyone, who is then root on this machine",
    ),
    Option(
        "authorization_plugins",
        "authorization-plugin",
        "plugins that must allow every request, asked in this order",
        reloads=True,
    ),
    Option("live_restore", "live-restore", f"{INERT}containers always outlive the daemon", reloads=True),
    Option("shutdown_timeout", "shutdown-timeout", "seconds that requests get to finish at the end", reloads=True),
    Option("oom_score_adjust", "oom-score-adjust", "oom_score_adj of the daemon"),
    Option("debug", "debug", "log at level debug", short="D", reloads=True),
    Option("log_level", "log-level", "debug, info, warn, error or fatal", short="l", reloads=True),
    Option("log_format", "log-format", "format of the daemon's own log: text or json", reloads=True),
    Option("raw_logs", "raw-logs", f"{INERT}the log never has colours"),
    Option("labels", "label", "label of the engine, key=value", parse=values.label, reloads=True),
    Option("experimental", "experimental", "tell clients that features which may still change are on"),
    Option("features", "feature", "turn a feature on or off, name=true", "map", parse=values.feature, reloads=True),
    Option("metrics_addr", "metrics-addr", f"{LATER}address to serve metrics on"),
    Option("audit_log", "audit-log", "file that requests which change something are written to, or none"),
    Option("trash_minutes", "trash-minutes", "minutes that what was removed can be brought back, 0 for no trash"),
    Option("trash_percent", "trash-percent", "share of the disk that what was removed may take, in percent"),
    Option("trash_auto_removed", "trash-auto-removed", "keep what --rm removes in the trash too"),
    Option("events_kept", "events-kept", "events that are kept for --since"),
    Option("events_hours", "events-hours", "hours that an event is kept for --since"),
    Option("cgroup_parent", "cgroup-parent", "cgroup that holds every container's; a slice with the systemd driver"),
    Option("exec_opts", "exec-opt", "option of the runtime: native.cgroupdriver=cgroupfs|systemd"),
    Option(
        "runtimes", "add-runtime", "a further OCI runtime, name=path", "runtime", parse=values.runtime, reloads=True
    ),
    Option("default_runtime", "default-runtime", "runtime of containers that name none", reloads=True),
    Option("default_ulimits", "default-ulimit", "limit of containers that name none", "ulimit", parse=values.ulimit),
    Option("default_shm_size", "default-shm-size", "size of /dev/shm", "bytes", parse=values.size, reloads=True),
    Option(
        "default_ipc_mode",
        "default-ipc-mode",
        "IPC namespace of containers that name none: private or shareable",
        reloads=True,
    ),
    Option(
        "default_cgroupns_mode", "default-cgroupns-mode", "cgroup namespace of containers that name none", reloads=True
    ),
    Option("log_driver", "log-driver", "log driver of containers that name none"),
    Option("log_opts", "log-opt", "option of the default log driver, name=value", "map", parse=values.loose_option),
    Option("init", "init", "run an init in every container"),
    Option("init_path", "init-path", "the init's program"),
    Option("no_new_privileges", "no-new-privileges", "no new privileges in containers that do not say otherwise"),
    Option("selinux_enabled", "selinux-enabled", "label containers for SELinux, where the kernel has it"),
    Option("userns_remap", "userns-remap", "user, or default, whose subordinate ids containers get"),
    Option("seccomp_profile", "seccomp-profile", "file of the default seccomp profile, builtin or unconfined"),
    Option("cpu_rt_period", "cpu-rt-period", "real-time period of all containers, in microseconds (version 1)"),
    Option(
        "cpu_rt_runtime", "cpu-rt-runtime", "real-time run time of all containers, in microseconds (cgroup version 1)"
    ),
    Option("cdi_spec_dirs", "cdi-spec-dir", "directory of CDI specifications"),
    Option(
        "storage_driver", "storage-driver", "what layers become: erofs (images) or overlay2 (directories)", short="s"
    ),
    Option("storage_opts", "storage-opt", f"{LATER}option of the storage driver"),
    Option("registry_mirrors", "registry-mirror", "mirror of Docker Hub", parse=values.mirror, reloads=True),
    Option("insecure_registries", "insecure-registry", "registry without TLS, host[:port] or CIDR", reloads=True),
    Option(
        "allow_nondistributable_artifacts",
        "allow-nondistributable-artifacts",
        "registry that foreign layers may be pushed to, host[:port] or CIDR",
        reloads=True,
    ),
    Option("max_concurrent_downloads", "max-concurrent-downloads", "downloads at once in a pull", reloads=True),
    Option("max_concurrent_uploads", "max-concurrent-uploads", "uploads at once in a push", reloads=True),
    Option("max_download_attempts", "max-download-attempts", "attempts at each download", reloads=True),
    Option("registry_silence", "registry-silence", "seconds without a byte after which a registry counts as gone"),
    Option(
        "registry_certs_dirs",
        "registry-certs-dir",
        "directory of certificates and mirrors of registries",
        reloads=True,
    ),
    Option("http_proxy", "http-proxy", "proxy for HTTP to registries"),
    Option("https_proxy", "https-proxy", "proxy for HTTPS to registries"),
    Option("no_proxy", "no-proxy", "hosts that are reached without a proxy"),
    Option("bridge", "bridge", "name of the default network's bridge, or none", short="b"),
    Option("bip", "bip", "address and prefix of the default bridge"),
    Option("bip6", "bip6", "IPv6 address and prefix of the default bridge"),
    Option("fixed_cidr", "fixed-cidr", "range of the default network's addresses"),
    Option("fixed_cidr_v6", "fixed-cidr-v6", "range of the default network's IPv6 addresses"),
    Option("default_gateway", "default-gateway", "gateway of the default network", "ip", parse=values.address),
    Option("default_gateway_v6", "default-gateway-v6", "its IPv6 gateway", "ip", parse=values.address),
    Option(
        "default_address_pools",
        "default-address-pool",
        "where subnets come from, base=CIDR,size=PREFIX",
        "pool-options",
        parse=values.address_pool,
    ),
    Option(
        "default_network_opts",
        "default-network-opt",
        "option of new networks, driver=option=value",
        "mapmap",
        parse=values.network_option,
    ),
    Option("dns", "dns", "DNS server of containers that name none", parse=values.address),
    Option("dns_search", "dns-search", "search domain of containers that name none", parse=values.search_domain),
    Option("dns_opts", "dns-opt", "option of resolv.conf for containers that name none"),
    Option("host_gateway_ips", "host-gateway-ip", "what host-gateway stands for", "ip", parse=values.address),
    Option("ip", "ip", "host address of published ports that name none", "ip", parse=values.address),
    Option("ip_forward", "ip-forward", "turn on forwarding"),
    Option("ip_forward_no_drop", "ip-forward-no-drop", f"{INERT}the policy of other tables is not touched"),
    Option("ip_masq", "ip-masq", "masquerade what leaves the default network"),
    Option(
        "publish",
        "publish",
        "who judges what comes to published ports: forward (these rules), or respect-input, also respect-ufw (the "
        "host's own for input)",
    ),
    Option("iptables", "iptables", "have rules in nftables for IPv4"),
    Option("ip6tables", "ip6tables", "have rules in nftables for IPv6"),
    Option("icc", "icc", "let containers of the default network reach each other"),
    Option("ipv6", "ipv6", "IPv6 on the default network"),
    Option("mtu", "mtu", "MTU of the default network"),
    Option("userland_proxy", "userland-proxy", f"{INERT}the kernel translates; a relay serves only what it cannot"),
    Option("userland_proxy_path", "userland-proxy-path", f"{INERT}there is no program of its own"),
    Option("firewall_backend", "firewall-backend", f"{INERT}rules are in nftables"),
    Option("allow_direct_routing", "allow-direct-routing", "let routed packets reach published containers"),
    Option(
        "bridge_accept_fwmark",
        "bridge-accept-fwmark",
        "mark of packets that may reach every container, MARK[/MASK]",
        parse=values.mark,
    ),
    Option(
        "swarm_default_advertise_addr",
        "swarm-default-advertise-addr",
        f"{LATER}address or interface of this swarm node",
    ),
    Option("network_control_plane_mtu", "network-control-plane-mtu", f"{LATER}MTU between swarm nodes"),
    Option(
        "node_generic_resources",
        "node-generic-resource",
        f"{LATER}resource of this swarm node, name=value",
        parse=values.generic_resource,
        reloads=True,
    ),
    Option("containerd", "containerd", f"{INERT}there is none"),
    Option("containerd_namespace", "containerd-namespace", f"{INERT}there is no containerd"),
    Option("containerd_plugins_namespace", "containerd-plugins-namespace", f"{INERT}there is no containerd"),
    Option("cri_containerd", "cri-containerd", f"{INERT}there is no containerd"),
)

WITHOUT_FLAG = frozenset(("proxies", "builder"))
"""Settings of the configuration file alone."""
