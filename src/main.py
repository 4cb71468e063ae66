"""``python src/main.py`` is ``mpi serve``: the entry point the service has always had.

Python puts this file's folder on the module path, so it runs from a checkout in which only
``requirements.txt`` has been installed.
"""

import sys

from mpi.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
