"""Family × subject × condition → trials."""
