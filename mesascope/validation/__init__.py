"""The instrument over subjects whose answer is known."""
