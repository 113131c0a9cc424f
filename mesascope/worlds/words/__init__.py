"""Words to label, for language models."""
