"""Building the network files from registry packages, and measuring them."""
