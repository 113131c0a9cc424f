"""What activations hold, and whether it is used."""
