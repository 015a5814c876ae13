"""The voice of the terminal: packs of sound files, and what speaks them through ALSA."""
