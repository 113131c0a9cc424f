"""How a study is run: its plan and what it expects are data, its measures are named functions."""
