"""How files are found, inspected, measured, brought to the bank profile and registered; no HTTP, no user."""
