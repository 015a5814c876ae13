"""Cases that operators took in at terminals, and their pictures."""
