"""The two-step task."""
