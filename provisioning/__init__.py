"""The technician's tool."""
