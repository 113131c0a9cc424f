"""Families of this world, one file each."""
