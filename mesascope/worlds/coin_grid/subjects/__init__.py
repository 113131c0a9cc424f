"""Scripted subjects and reference procedures of this world, one file each."""
