"""The console: the Textual app that shows the views of a watch."""
