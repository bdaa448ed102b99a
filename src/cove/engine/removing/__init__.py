"""How containers and the rest go away: the trash, its undoing, and pruning."""
