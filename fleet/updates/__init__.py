"""What the fleet sends to its terminals: policies."""
