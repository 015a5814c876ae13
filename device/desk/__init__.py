"""The desk: everything on the screen around a certification session. Pure, like the session itself."""
