"""Composes auth and mosaics and answers HTTP and the command line; the only package that knows both."""
