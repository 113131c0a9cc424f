"""Protects the user: runs code only on request, checks the sizes of files before reading them, and masks secrets."""
