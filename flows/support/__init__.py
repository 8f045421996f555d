"""What every room may use: errors, logs, signals, child processes, progress."""
