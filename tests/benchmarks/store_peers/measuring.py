"""CPU time of this process from just before the due times until all runs have ended."""

import json
import time

SETUP = 25.0


class Meter:
    """Measurement of a process that has added `runs` jobs which are due at `at`."""

    def __init__(self, runs):
        self.runs = runs
        self.at = time.time() + SETUP
        self.done = 0
        self._cpu = 0.0

    def begin(self):
        """Wait until just before the due time. The parent reads the CPU time of the server then."""
        if time.time() > self.at - 0.4:
            print(json.dumps({"late": True}), flush=True)
        time.sleep(max(0.0, self.at - 0.3 - time.time()))
        self.start()

    def start(self):
        print(json.dumps({"begins": True}), flush=True)
        self._cpu = time.process_time()

    def count(self):
        self.done += 1

    def end(self):
        print(json.dumps({"cpu": time.process_time() - self._cpu, "runs": self.done}), flush=True)
