"""Duplicates: one person under two numbers, one number in two schemes; found by machine, decided by people."""
