"""Where a subject stands on the spectrum from just doing the task to acquiring it."""
