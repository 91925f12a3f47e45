"""Mistakes with the package itself: what it does not offer."""

from __future__ import annotations

import asyncz
from asyncz import EventLoopExecutor  # E
from asyncz import annotations as of_the_future  # E
from asyncz import lazy_exports as private  # E

asyncz.Scheduler  # E
