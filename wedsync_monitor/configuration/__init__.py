"""Configuration as files: rows of the kinds that apps declare, by their names; what a file would change; history."""
