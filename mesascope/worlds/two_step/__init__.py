"""The two-step task."""

CHECK_FAMILY = "two_step:trials=12,bank=2"  # the family that `mesascope check` tries subjects on
