"""What is really there: runtime hints and relists, the machine, statistics."""
