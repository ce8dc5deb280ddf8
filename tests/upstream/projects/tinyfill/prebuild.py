"""Writes until nothing more can be written, as a build does that went wild."""

import itertools

for number in itertools.count():
    with open(f"/tmp/fill{number}", "wb", buffering=0) as fill:
        for _ in range(256):
            fill.write(b"\0" * 1024 * 1024)
