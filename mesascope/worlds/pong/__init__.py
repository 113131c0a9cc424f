"""Pong: the game, its screen, and networks that play it."""
