"""A builder's own queue on its disk."""
