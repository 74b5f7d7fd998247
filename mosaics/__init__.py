"""What is in the catalogue and how it becomes an image; no HTTP, no user."""
