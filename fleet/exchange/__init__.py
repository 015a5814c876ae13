"""Data that comes from and goes to other systems of the agency."""
