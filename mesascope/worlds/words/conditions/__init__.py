"""Conditions of this world, one file each."""
