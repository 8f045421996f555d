"""What is done beside a running flow: its state, its dead letters, replay."""
