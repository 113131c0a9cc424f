"""Tabular Markov decision processes."""

CHECK_FAMILY = "tabular_mdp:states=3,actions=2,steps=3,trials=4"  # the family that `mesascope check` tries subjects on
