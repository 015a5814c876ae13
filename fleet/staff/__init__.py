"""Operators and places: who may sign in on terminals, and how terminals learn it."""
