"""A family of tasks, a frozen subject's rollout under conditions, trials, probes, findings, placement, report."""

__version__ = "0.1.0"
