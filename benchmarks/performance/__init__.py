"""This server beside a bare app of the same parts: `uv run python -m benchmarks.performance [--quick]`."""
