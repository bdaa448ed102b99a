"""Why a container is as it is."""
