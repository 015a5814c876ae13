"""Groups of subcommands, each with a module of its own; `fleet.cli` puts them together."""
