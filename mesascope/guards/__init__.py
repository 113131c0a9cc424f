"""Safety: code runs only if the user asks for it, files are measured before they are read, secrets are masked."""
