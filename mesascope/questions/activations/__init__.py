"""What activations contain, and whether the subject's behaviour uses it."""
