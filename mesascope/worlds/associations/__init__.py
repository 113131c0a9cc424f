"""Tasks that contain many bits: each of several cues has its own right action."""
