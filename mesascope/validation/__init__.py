"""Validates the instrument on subjects with a known answer."""
