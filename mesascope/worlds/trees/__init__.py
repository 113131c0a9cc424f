"""Trees of choices."""

CHECK_FAMILY = "tree_choice:depth=2,trials=12,bank=3"  # the family that `mesascope check` tries subjects on
