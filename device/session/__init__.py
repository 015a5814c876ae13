"""The certification session: a pure state machine, events in, commands out."""
