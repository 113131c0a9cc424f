"""The two-step task."""

TRIED = "two_step:trials=12,bank=2"  # the family that `mesascope check` tries subjects on
