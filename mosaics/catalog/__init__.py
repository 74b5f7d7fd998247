"""The catalogue: its stores, and the index that answers requests from memory."""
