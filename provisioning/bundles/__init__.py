"""Bundles: made of a folder that was checked, signed with a release key that is kept away from every server, and looked at."""
