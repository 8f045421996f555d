"""The settings: one table for flags, environment variables and TOML keys."""
