"""The console script: options made from the settings, one module a command."""
