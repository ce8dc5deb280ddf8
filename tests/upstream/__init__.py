"""A stand-in for PyPI: a few small projects behind a PEP 691 index, for farms that are tested."""
