"""Bandits with independent, dependent or restless arms, with a cue or an informative arm, or described in words."""
