"""The open interface: JSON for other programs, read-only."""
