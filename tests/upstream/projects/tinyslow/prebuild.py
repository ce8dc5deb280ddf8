"""Takes its time, so that a test can do something to the Pi meanwhile."""

import time

for second in range(20):
    print(f"still here after {second} s", flush=True)
    time.sleep(1)
