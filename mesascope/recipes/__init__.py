"""The recipes that train our networks. Each recipe has its own file."""
