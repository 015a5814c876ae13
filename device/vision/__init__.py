"""Face processing: from a frame to plain numbers; pure, so that it runs and tests anywhere."""
