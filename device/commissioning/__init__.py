"""What the measures of a commissioning mean: measures in, checks out. No device is opened and no file is read here."""
