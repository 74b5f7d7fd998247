"""Commands: each parses, calls what a route or a test could call, and prints."""
