"""The real implementations of the ports, one module for each vendor library or device."""
