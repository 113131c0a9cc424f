"""Search or control."""
