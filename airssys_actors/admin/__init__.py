"""What an operator does on a state folder, and the socket on which a running host takes it."""
