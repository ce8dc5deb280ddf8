"""What the index has released."""
