"""Abstract types and protocols of everything that users can add."""
