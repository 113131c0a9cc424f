"""Examines subjects: plans and runs rollouts, measures them, keeps a run's folder, and checks plug-ins."""
