"""Has no factory."""
