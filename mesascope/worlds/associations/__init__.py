"""Tasks that contain many bits: each of several cues has its own right action."""

CHECK_FAMILY = "associations:cues=4,trials=12,bank=2"  # the family that `mesascope check` tries subjects on
