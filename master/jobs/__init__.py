"""Which versions are built, for which targets."""
