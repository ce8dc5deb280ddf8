"""The system libraries that a wheel needs."""
