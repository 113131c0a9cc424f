"""Words to label, for language models."""

CHECK_FAMILY = "word_labels:trials=12"  # the family that `mesascope check` tries subjects on
