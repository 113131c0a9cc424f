"""What anyone can add, as abstract types and protocols."""
