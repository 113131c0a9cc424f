"""Sequences of symbols to be predicted."""
