"""The screen: a page for a kiosk browser on this machine, and the live picture on it."""
