"""Scripted subjects for any world with discrete actions, one file each."""
