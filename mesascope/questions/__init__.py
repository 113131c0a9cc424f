"""The questions that are asked about trials, and the rules that answer them. Each question has its own folder."""
