"""CPU time of this process from just before the due times until all runs have ended."""

import json
import os
import time

SETUP = 25.0
AT = "ASYNCZ_BENCHMARK_AT"


class Meter:
    """Measurement of a process that has added `runs` jobs which are due at `at`, a time that processes may share."""

    def __init__(self, runs):
        self.runs = runs
        self.at = float(os.environ.get(AT) or time.time() + SETUP)
        self.done = 0
        self._cpu = 0.0
        self._marked = 0.0

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

    def mark(self):
        """Note the CPU time. `end` reports the last one noted: the process waits afterwards for what may follow."""
        self._marked = time.process_time()

    def end(self, **figures):
        cpu = (self._marked or time.process_time()) - self._cpu
        print(json.dumps({"cpu": cpu, "runs": self.done, **figures}), flush=True)
        # The parent reads the CPU time of the server, before what the end of this process needs.
        time.sleep(0.3)
