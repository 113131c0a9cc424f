"""Runs studies; files state a study's plan and expectations, and named functions are its measures."""
