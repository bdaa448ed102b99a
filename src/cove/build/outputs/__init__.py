"""What a build gives: images, archives, files, and what is said of them."""
