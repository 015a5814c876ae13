"""Benefits: what is paid, the ladder before a stop, the way back, and what is to be recovered."""
