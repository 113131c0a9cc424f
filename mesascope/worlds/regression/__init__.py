"""Linear regression in context."""
