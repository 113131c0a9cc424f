"""Runs studies. A study's plan and expectations are data, and its measures are named functions."""
