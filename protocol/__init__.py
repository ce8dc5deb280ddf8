"""What the master and a Pi say to one another.

Runs on both: standard library only, Python 3.9 or newer.
"""
