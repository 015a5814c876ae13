"""What people are told, as data: one TOML file for each language."""
