"""Everything asked of a subject, once: the plan of rollouts, the measurement, the folder of a run."""
