"""What happened: told, kept, and looked up later."""
