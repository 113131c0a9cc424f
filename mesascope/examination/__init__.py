"""Examines subjects: runs and measures rollouts, writes a run's folder, and checks plug-ins."""
