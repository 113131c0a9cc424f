"""Words to label, for language models."""

TRIED = "word_labels:trials=12"  # the family that `mesascope check` tries subjects on
