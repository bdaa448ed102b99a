"""The process that unpacks, packs and copies for the daemon, and what they say to each other."""
