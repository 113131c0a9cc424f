"""What keeps users safe: code runs only where they ask for it, files are measured first, no secret is written."""
