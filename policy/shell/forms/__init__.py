"""The read-only commands whose arguments are a language of their own, each with its grammar."""
