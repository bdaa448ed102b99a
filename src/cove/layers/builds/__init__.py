"""What a build copies from, and the layers that its steps make."""
