"""A grid with a coin that may lie in one corner or elsewhere."""
