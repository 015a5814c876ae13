"""Reminders: who is told what, by which channel, when, and with what proof."""
