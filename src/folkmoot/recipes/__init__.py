"""A TOML file or a spec -> Judges and runs built from the rooms below; what commands, service and workers share."""
