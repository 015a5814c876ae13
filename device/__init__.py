"""The service on the terminal."""
