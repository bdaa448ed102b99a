"""What the routes call: one object for each Protocol."""

from dataclasses import dataclass

from cove.server.archives import Archives
from cove.server.bootstraps import Bootstraps, Slimming
from cove.server.builds import Builds
from cove.server.containers import Containers
from cove.server.contexts import Contexts
from cove.server.doctor import Doctor
from cove.server.egress import EgressPolicies
from cove.server.execs import Execs
from cove.server.image_contents import ImageContents
from cove.server.images import Images
from cove.server.lifecycle import Lifecycle
from cove.server.networks import Networks
from cove.server.output import Output
from cove.server.pruning import Pruning
from cove.server.registries import Registries
from cove.server.sockets import Sockets
from cove.server.system import System
from cove.server.topology import Topology
from cove.server.transfers import Transfers
from cove.server.trash import Trash
from cove.server.volume_copies import VolumeCopies
from cove.server.volume_files import VolumeFiles
from cove.server.volumes import Volumes
from cove.server.why import Reasons


@dataclass(frozen=True)
class Services:
    """The engine as the server sees it; one object may meet several of the Protocols."""

    containers: Containers
    lifecycle: Lifecycle
    output: Output
    archives: Archives
    builds: Builds
    contexts: Contexts
    execs: Execs
    images: Images
    image_contents: ImageContents
    transfers: Transfers
    bootstraps: Bootstraps
    slimming: Slimming
    registries: Registries
    networks: Networks
    volumes: Volumes
    volume_copies: VolumeCopies
    volume_files: VolumeFiles
    system: System
    pruning: Pruning
    trash: Trash
    reasons: Reasons
    egress: EgressPolicies
    topology: Topology
    sockets: Sockets
    doctor: Doctor
