"""Sequences of symbols to predict."""
