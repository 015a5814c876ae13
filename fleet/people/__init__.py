"""Finding people and reading everything about one, for whoever may look."""
