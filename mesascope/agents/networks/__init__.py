"""Networks that our recipes train: their parts, their files, and the trained networks that ship with mesascope."""
