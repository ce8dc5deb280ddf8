"""Where builds run: units, overlays, and the proof that they are right."""
