"""References: made from pictures, issued to terminals, withdrawn."""
