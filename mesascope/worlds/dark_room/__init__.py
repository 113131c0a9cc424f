"""A dark room with hidden goals, which a subject finds by walking and can then revisit on every trial."""

CHECK_FAMILY = "dark_room:size=3,steps=3,trials=12,bank=2"  # the family that `mesascope check` tries subjects on
