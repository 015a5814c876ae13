"""The thin part of the terminal: events in from the world, commands out to the ports. It holds no rule of the session."""
