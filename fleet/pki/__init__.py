"""Certificates: the fleet's own authority, and who may connect to the broker."""
