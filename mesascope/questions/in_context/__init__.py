"""How predictions improve with context."""
