"""Ten days in the villages, in some minutes: `python -m demo.field`.

The sessions are played by the terminal's own desk, session, stores, keys and clock; what a camera would say is played by
`demo.field.people`, because what is tried here is not the eye but that nothing is lost. Terminal and fleet are processes, and the
terminal's is really killed.
"""
