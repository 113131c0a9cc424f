"""From just doing the task to acquiring it: what is carried, how far back, how far it reaches."""
