"""`make run`: hands over to the front, so that a Ctrl-C while Python still imports it is not a traceback."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from local.front import main

    sys.exit(main(sys.argv[1:]))
