"""What the farm is doing, read and told."""
