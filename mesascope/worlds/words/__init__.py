"""Labels of words, for language models."""
