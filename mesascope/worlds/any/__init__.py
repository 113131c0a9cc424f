"""Subjects that run in any world with discrete actions."""
