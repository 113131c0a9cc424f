"""Sequences of symbols to predict."""

CHECK_FAMILY = "markov_chain:symbols=3,trials=12,bank=2"  # the family that `mesascope check` tries subjects on
