"""Runs units of work in one process or many, on one machine or many, and keeps their state in files."""

from mesascope.execution.shards import format_array_command, select_shard
from mesascope.execution.units import run_units

__all__ = ["format_array_command", "run_units", "select_shard"]
