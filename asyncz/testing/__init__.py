"""What tests of programs that use asyncz need. Importing it needs no test framework."""

from asyncz.testing.clock import FakeClock

__all__ = ["FakeClock"]
