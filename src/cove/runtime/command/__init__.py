"""``cove-oci``: the runtime as a command, for engines that call one (Podman, containerd, Docker).

Imports what the runtime does, and each command's module only when it runs: every start pays for its imports. Start
reading at ``main``; ``container`` has what is kept between two calls, ``birth`` how a container comes to be.
"""
