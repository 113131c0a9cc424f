"""Whether the subject computes its actions by search, or they were settled beforehand (control)."""
