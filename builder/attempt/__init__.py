"""One attempt at one job, from its sdist to its result."""
