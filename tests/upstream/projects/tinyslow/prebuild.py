"""Takes until two minutes after its release, so that a test can do something to the Pi meanwhile.

Built again after that, it takes no time.
"""

import time

released_at = int("@TIME@")
while time.time() < released_at + 120:
    print("still here", flush=True)
    time.sleep(1)
