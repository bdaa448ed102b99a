"""Every command, by name: where its module is and what it is for. Nothing here imports a command.

A row is: the module under ``cli.commands`` (with ``:NAME`` when it declares several), the names in the order the help
lists them, and the summary. Names that only repeat another are in ``ALIASES`` and stay out of lists.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.command import Command


class Entry:
    __slots__ = ("module", "names", "summary")

    def __init__(self, module: str, names: tuple[str, ...], summary: str) -> None:
        self.module = module
        self.names = names
        self.summary = summary

    def load(self) -> Command:
        module, _, name = self.module.partition(":")
        name = name or "COMMAND"
        loaded: Command = getattr(__import__(f"cove.cli.commands.{module}", fromlist=[name]), name)
        return loaded


def _both(group: str, name: str) -> tuple[str, str]:
    return f"{group} {name}", name


_CONTAINER = (
    ("attach", "attach", "Attach local standard input, output, and error streams to a running container"),
    ("commit", "commit", "Create a new image from a container's changes"),
    ("cp", "cp", "Copy files/folders between a container and the local filesystem"),
    ("create", "create", "Create a new container"),
    ("diff", "diff", "Inspect changes to files or directories on a container's filesystem"),
    ("exec", "exec", "Execute a command in a running container"),
    ("export", "export", "Export a container's filesystem as a tar archive"),
    ("kill", "kill", "Kill one or more running containers"),
    ("logs", "logs", "Fetch the logs of a container"),
    ("pause:PAUSE", "pause", "Pause all processes within one or more containers"),
    ("port", "port", "List port mappings or a specific mapping for the container"),
    ("rename", "rename", "Rename a container"),
    ("stop:RESTART", "restart", "Restart one or more containers"),
    ("run", "run", "Create and run a new container from an image"),
    ("start", "start", "Start one or more stopped containers"),
    ("stats", "stats", "Display a live stream of container(s) resource usage statistics"),
    ("stop:STOP", "stop", "Stop one or more running containers"),
    ("top", "top", "Display the running processes of a container"),
    ("pause:UNPAUSE", "unpause", "Unpause all processes within one or more containers"),
    ("update", "update", "Update configuration of one or more containers"),
    ("wait", "wait", "Block until one or more containers stop, then print their exit codes"),
)

_IMAGE = (
    ("history", "history", "Show the history of an image"),
    ("load:IMPORT", "import", "Import the contents from a tarball to create a filesystem image"),
    ("load:LOAD", "load", "Load an image from a tar archive or STDIN"),
    ("pull", "pull", "Download an image from a registry"),
    ("push", "push", "Upload an image to a registry"),
    ("save", "save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    ("tag", "tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
)

_ROWS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("rm", ("container rm", "container remove", "rm"), "Remove one or more containers"),
    ("ps", ("container ls", "container list", "container ps", "ps"), "List containers"),
    ("prune:CONTAINER", ("container prune",), "Remove all stopped containers"),
    ("inspect:CONTAINER", ("container inspect",), "Display detailed information on one or more containers"),
    ("inspect:ANY", ("inspect",), "Return low-level information on Docker objects"),
    ("images", ("image ls", "image list", "images"), "List images"),
    ("rmi", ("image rm", "image remove", "rmi"), "Remove one or more images"),
    ("prune:IMAGE", ("image prune",), "Remove unused images"),
    ("inspect:IMAGE", ("image inspect",), "Display detailed information on one or more images"),
    ("build", ("image build", "build", "builder build"), "Build an image from a Dockerfile"),
    ("builder_prune", ("builder prune",), "Remove build cache"),
    ("cache_mounts:EXPORT", ("builder export-mounts",), "Write all cache mounts to an archive"),
    ("cache_mounts:IMPORT", ("builder import-mounts",), "Fill cache mounts from an archive"),
    ("image_verify", ("image verify",), "Read images and compare them with their digests"),
    ("image_diff", ("image diff",), "Show what changes from one image to another"),
    ("image_files", ("image ls-files",), "List the files of an image"),
    ("image_waste", ("image waste",), "Show what each layer of an image adds and wastes"),
    ("registry_images:COPY", ("image copy",), "Copy an image from one registry to another"),
    ("registry_images:LIST_REFERRERS", ("image referrers",), "List what refers to an image at its registry"),
    ("login:LOGIN", ("login",), "Authenticate to a registry"),
    ("login:LOGOUT", ("logout",), "Log out from a registry"),
    ("search", ("search",), "Search Docker Hub for images"),
    ("manifest:ANNOTATE", ("manifest annotate",), "Add additional information to a local image manifest"),
    (
        "manifest:CREATE",
        ("manifest create",),
        "Create a local manifest list for annotating and pushing to a registry",
    ),
    ("manifest:INSPECT", ("manifest inspect",), "Display an image manifest, or manifest list"),
    ("manifest:PUSH", ("manifest push",), "Push a manifest list to a repository"),
    ("manifest:RM", ("manifest rm",), "Delete one or more manifest lists from local storage"),
    ("bootstrap", ("image bootstrap",), "Make a base image from a Debian package mirror"),
    ("slim", ("image slim",), "Make an image of what some commands need of another"),
    ("network:LS", ("network ls", "network list"), "List networks"),
    ("network:CREATE", ("network create",), "Create a network"),
    ("network:CONNECT", ("network connect",), "Connect a container to a network"),
    ("network:DISCONNECT", ("network disconnect",), "Disconnect a container from a network"),
    ("egress", ("network egress",), "Show where a container may go, and where it went"),
    ("graph", ("network graph",), "Show networks with their containers, ports and egress policies"),
    ("trace", ("network trace",), "Tell what stands between a container and where it is to go"),
    ("network:RM", ("network rm", "network remove"), "Remove one or more networks"),
    ("prune:NETWORK", ("network prune",), "Remove all unused networks"),
    ("inspect:NETWORK", ("network inspect",), "Display detailed information on one or more networks"),
    ("volume:LS", ("volume ls", "volume list"), "List volumes"),
    ("volume:CREATE", ("volume create",), "Create a volume"),
    (
        "volume:RM",
        ("volume rm", "volume remove"),
        "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    ),
    ("volume_copies:RENAME", ("volume rename",), "Rename a volume"),
    ("volume_copies:CLONE", ("volume clone",), "Make a volume with the files of another"),
    ("volume_copies:SNAPSHOT", ("volume snapshot",), "Keep the files of a volume as they are now"),
    ("volume_copies:SNAPSHOTS", ("volume snapshots",), "List the snapshots of a volume"),
    ("volume_copies:RESTORE", ("volume restore",), "Replace the files of a volume by a snapshot's or a backup's"),
    ("volume_copies:DIFF", ("volume diff",), "Show what has changed in a volume since a snapshot"),
    ("volume_copies:BACKUP", ("volume backup",), "Write a volume to an archive"),
    ("volume_browse", ("volume browse",), "Look into a volume and copy its files"),
    ("volume:RESIZE", ("volume resize",), "Change how much a volume may take, also while it is in use"),
    ("prune:VOLUME", ("volume prune",), "Remove unused local volumes"),
    ("inspect:VOLUME", ("volume inspect",), "Display detailed information on one or more volumes"),
    ("df", ("system df",), "Show cove disk usage"),
    ("prune:SYSTEM", ("system prune",), "Remove unused data"),
    ("why", ("why",), "Tell why a container is as it is"),
    ("doctor", ("doctor",), "Tell what is unsafe on the host, in the daemon and in containers"),
    ("undo", ("undo",), "Bring back a container or volume that was removed"),
    ("registry:SERVE", ("registry serve",), "Serve a registry from a directory"),
    ("socket:CREATE", ("socket create",), "Make a socket of the API that can do a part of it only"),
    ("socket:LS", ("socket ls", "socket list"), "List such sockets"),
    ("socket:RM", ("socket rm", "socket remove"), "Remove one or more such sockets"),
    ("trash:LS", ("trash ls", "trash list"), "List what was removed and can be brought back"),
    ("trash:RM", ("trash rm", "trash remove"), "Delete one or more containers or volumes that are in the trash"),
    ("trash:EMPTY", ("trash empty",), "Delete everything in the trash"),
    ("events", ("system events", "events"), "Get real time events from the server"),
    ("info", ("system info", "info"), "Display system-wide information"),
    ("version", ("version",), "Show the Cove version information"),
    ("daemon", ("daemon",), "Run the engine"),
    (
        "install_docker_names",
        ("install-docker-names",),
        "Have docker and dockerd start this command line and its engine",
    ),
    ("completion", ("completion",), "Generate the autocompletion script for the specified shell"),
)

ALIASES = frozenset(
    f"{group} {name}"
    for group, names in {
        "container": ("list", "ps", "remove"),
        "image": ("list", "remove"),
        "network": ("list", "remove"),
        "socket": ("list", "remove"),
        "trash": ("list", "remove"),
        "volume": ("list", "remove"),
    }.items()
    for name in names
)

GROUPS = {
    "container": "Manage containers",
    "builder": "Manage builds",
    "image": "Manage images",
    "manifest": "Manage image manifests and manifest lists",
    "network": "Manage networks",
    "registry": "Run a registry",
    "socket": "Manage sockets that can do a part only",
    "system": "Manage Cove",
    "trash": "Manage what was removed",
    "volume": "Manage volumes",
}

COMMON = ("run", "exec", "ps", "build", "pull", "images", "version", "info")


def _entries() -> dict[str, Entry]:
    rows = [
        *((module, _both("container", name), summary) for module, name, summary in _CONTAINER),
        *((module, _both("image", name), summary) for module, name, summary in _IMAGE),
        *_ROWS,
    ]
    return {name: entry for entry in (Entry(*row) for row in rows) for name in entry.names}


COMMANDS = _entries()


def members(group: str) -> list[tuple[str, str]]:
    """The commands of a group, or the top-level ones for "", sorted, with their summaries."""
    depth = 2 if group else 1
    found = [
        (name.split()[-1], entry.summary)
        for name, entry in COMMANDS.items()
        if len(name.split()) == depth and name not in ALIASES and (not group or name.startswith(f"{group} "))
    ]
    return sorted(found)
