"""Metrics of this world: one file each."""
