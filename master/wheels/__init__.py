"""Wheels as they come in: looked through, stored, recorded. Nothing here believes a builder."""
