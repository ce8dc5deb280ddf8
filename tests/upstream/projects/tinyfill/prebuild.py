"""Writes until nothing more can be written, as a build does that went wild."""

with open("/tmp/fill", "wb", buffering=0) as fill:
    while True:
        fill.write(b"\0" * 1024 * 1024)
