"""One folder per task world: families, subjects, conditions, metrics, recipes as far as it has them."""
