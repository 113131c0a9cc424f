"""Conditions that can disturb the lifetimes of any world, one file each."""
