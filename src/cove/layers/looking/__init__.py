"""What is in layers, for whoever wants to know: files, changes, waste, damage."""
