"""Caches of encoded tiles: bytes and a content key, nothing else."""
