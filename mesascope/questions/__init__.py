"""What is asked of trials, and the rules that answer it: one folder per question."""
