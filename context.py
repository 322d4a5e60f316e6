"""What one run is given."""
