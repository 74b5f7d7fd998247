"""Tiled TIFF files as blocks: where they lie in the file, how they are decoded, which ones are kept."""
