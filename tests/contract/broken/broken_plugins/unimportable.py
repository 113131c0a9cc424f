"""Cannot be imported."""

raise ImportError("it needs a licence")
