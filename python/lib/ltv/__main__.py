"""The program ``ltv``, installed with the package: ``ltv --help`` or ``python -m ltv --help``."""

from __future__ import annotations

import signal
import sys

from ltv import _ltv


def main() -> None:
    """Runs the program and leaves with its exit code."""
    # The program hears signals itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_ltv.main(["ltv", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
