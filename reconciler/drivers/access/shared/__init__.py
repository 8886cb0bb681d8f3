"""What every access that speaks with the program of a host has in common."""
