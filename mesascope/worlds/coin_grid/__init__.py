"""A grid with a coin and a corner, which may come apart."""
