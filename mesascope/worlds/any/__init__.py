"""Subjects that live in any world with a few choices."""
