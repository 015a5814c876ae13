"""Cards: what a new terminal finds on its boot partition, and how it comes there."""
