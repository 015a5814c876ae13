"""The audit log: every change and every look, each entry bound to the one before."""
