"""Seccomp profiles: which system calls a container's programs may make, from a profile to what the kernel is given.

``profile`` reads Docker's and the runtime specification's formats, ``default`` is our own profile as data, ``compiler``
makes a BPF program for the kernel, ``cache`` keeps it on disk. Imports ``cove.errors`` and ``cove.oci.runtime``. Never
imported where containers start: there ``kernel.seccomp`` loads what was compiled before. Start reading at ``compiler``.
"""
