"""Talking to registries (OCI distribution-spec). Start reading at ``login``; ``places`` says where a registry is."""
