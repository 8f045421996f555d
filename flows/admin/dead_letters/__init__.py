"""List, explain and send back dead letters."""
