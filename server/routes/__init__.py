"""One file per question; `table.py` lists them all."""
