"""`python -m asyncz` is the same as the command `asyncz`."""

from asyncz.cli import main

main()
