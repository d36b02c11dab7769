"""Configuration: strict, layered, with provenance; where things lie on disk; the keymap."""
