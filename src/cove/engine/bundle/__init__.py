"""From a container's record to what the OCI runtime is given: isolation, limits, devices, rights."""
