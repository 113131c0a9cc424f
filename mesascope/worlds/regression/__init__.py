"""Linear regression in context."""

CHECK_FAMILY = "linear_regression:trials=12,bank=2"  # the family that `mesascope check` tries subjects on
