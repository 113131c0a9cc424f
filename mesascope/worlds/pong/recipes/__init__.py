"""Recipes of this world, one file each."""
