"""What earlier builds made: found again, explained, shared and pruned."""
