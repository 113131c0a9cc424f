"""How a subject's predictions improve with context."""
