"""Whose goal is pursued."""
