"""What servers ask of us, and who answers."""
