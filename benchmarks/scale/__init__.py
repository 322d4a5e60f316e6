"""What many sessions, twice the capacity, large bodies and several writers cost."""
