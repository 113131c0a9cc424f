"""The thread's claims beside what was measured of them, and what that does to each person's belief."""
