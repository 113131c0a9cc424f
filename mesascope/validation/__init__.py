"""The instrument over subjects with a known answer."""
