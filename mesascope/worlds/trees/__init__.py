"""Binary trees, in which a subject chooses a way from the root to a leaf."""

CHECK_FAMILY = "tree_choice:depth=2,trials=12,bank=3"  # the family that `mesascope check` tries subjects on
