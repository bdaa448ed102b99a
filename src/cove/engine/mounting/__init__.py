"""What containers mount: as requested, as made for a start, and changed while they run."""
