"""Whether the subject pursues the intended goal or a proxy of it."""
