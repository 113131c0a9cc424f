"""What information activations contain, and whether the subject's behaviour uses this information."""
