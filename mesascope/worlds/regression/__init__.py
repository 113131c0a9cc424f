"""Linear regression in context."""

TRIED = "linear_regression:trials=12,bank=2"  # the family that `mesascope check` tries subjects on
