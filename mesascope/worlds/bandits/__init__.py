"""Bandits with independent, dependent, cued, informative and restless arms, and a bandit in words."""
