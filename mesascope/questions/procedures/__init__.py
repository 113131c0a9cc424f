"""Which reference procedure a subject acts like."""
