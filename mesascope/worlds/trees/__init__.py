"""Trees of choices."""
