"""Task worlds, one folder each, with the families, subjects, conditions, metrics and recipes of that world."""
