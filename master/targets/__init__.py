"""What wheels are built for."""
