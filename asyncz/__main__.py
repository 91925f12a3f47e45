"""`python -m asyncz`, which is the same as the command `asyncz`."""

from asyncz.cli import main

if __name__ == "__main__":
    main()
