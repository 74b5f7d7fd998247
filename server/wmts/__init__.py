"""WMTS 1.0.0 as pure functions: parameters in, documents out; no I/O, no services, no HTTP."""
