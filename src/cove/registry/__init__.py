"""The distribution protocol, each side: ``client`` talks to registries. Neither side imports the other."""
