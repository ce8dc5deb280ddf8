"""The builders: what they are given, and what they say."""
