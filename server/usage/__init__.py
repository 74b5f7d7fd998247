"""Counting, quotas and rates of a running server."""
