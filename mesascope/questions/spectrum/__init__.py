"""From just doing the task to acquiring it: what the carry contributes, how far back, and on which tasks."""
