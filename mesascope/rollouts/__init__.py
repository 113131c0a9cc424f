"""Runs a subject on a family's tasks under conditions, and records the trials."""
