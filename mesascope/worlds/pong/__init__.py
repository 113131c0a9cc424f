"""Pong: the game, its screen, and networks that play it."""

CHECK_FAMILY = "pong:rallies=2,steps=3"  # the family that `mesascope check` tries subjects on
