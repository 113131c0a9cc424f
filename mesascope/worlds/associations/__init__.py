"""Tasks about which a subject needs many bits: each of several cues has its own correct action."""

CHECK_FAMILY = "associations:cues=4,trials=12,bank=2"  # the family that `mesascope check` tries subjects on
