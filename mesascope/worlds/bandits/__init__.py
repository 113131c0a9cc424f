"""Bandits: independent, dependent, cued, informative, restless, in words."""
