"""The middle floor: what is drawn."""
