"""The whole system composed on one computer."""
