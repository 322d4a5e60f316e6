"""One module per table: its record, and what reads and writes it."""
