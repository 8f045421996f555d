"""Lists, explains and redrives dead letters."""
