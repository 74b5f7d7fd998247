"""Tiles made ahead: into the cache of the server, or into one file to carry away."""
