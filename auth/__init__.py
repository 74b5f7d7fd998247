"""Who asks, and may they; no tile, no pixel, no HTTP."""
