"""Tabular Markov decision processes."""

TRIED = "tabular_mdp:states=3,actions=2,steps=3,trials=4"  # the family that `mesascope check` tries subjects on
