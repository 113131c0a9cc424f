"""Networks that our recipes train: their parts, their files, and those that ship."""
