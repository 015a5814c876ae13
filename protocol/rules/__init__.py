"""Rule packs and their pure evaluator: dated, versioned data, never code."""
