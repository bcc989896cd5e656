"""Files to configurations and back: busconfig XML and TOML, and where they are looked for."""
