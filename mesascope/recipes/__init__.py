"""How our networks are trained: one file per recipe."""
