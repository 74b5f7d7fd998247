"""The command line: `dinamis-flux`, also as `python -m server`."""

from __future__ import annotations

from mosaics.loading import loading

with loading():
    from server.cli.main import main

if __name__ == "__main__":
    main()
