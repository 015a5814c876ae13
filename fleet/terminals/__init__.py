"""Terminals as the office sees them: are they there, are they well, do they have what they should, do they see as they did."""
