"""The ground floor: what is true, and how the world is reached."""
