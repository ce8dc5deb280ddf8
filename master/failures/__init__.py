"""Why builds fail."""
