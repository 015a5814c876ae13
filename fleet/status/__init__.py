"""Certification status: what follows from the records."""
