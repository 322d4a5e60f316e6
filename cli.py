"""The `agent-runtime` command."""
