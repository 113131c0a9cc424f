"""A subject whose module is a script: it ends the process that imports it."""

import sys

sys.exit()
