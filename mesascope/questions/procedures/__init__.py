"""Which procedure a subject acts like."""
