"""What activations contain, and whether behaviour uses it."""
