"""The watch: the headless process that reads, keeps the Picture, owns the store and runs commands."""
