"""Cues, each with an action of its own that is right: tasks that hold many bits."""
