"""Deliveries as providers make them: recognised, and read for what they say; no pixel is opened."""
