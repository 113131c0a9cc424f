"""Plug-ins that break their contract, each in one way."""
