"""Runs studies. The plan and the expectations of a study are files, and its measures are named functions."""
