"""What is disturbed, in any world: one file per condition."""
