"""Updates of programs, networks and voices: two slots for each, a trial, and a way back that needs nothing of what is on trial."""
