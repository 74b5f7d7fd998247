"""The command line: `dinamis-flux`, also as `python -m server`."""

from __future__ import annotations

import gc

# what is loaded stays: looking for cycles among it, again and again, takes a fifth of a short command's time
gc.disable()

from server.cli.main import main  # noqa: E402 - loads what all commands share

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
