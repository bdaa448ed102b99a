"""What a client is told while a build goes on."""
