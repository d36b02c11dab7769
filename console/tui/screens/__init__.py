"""What is laid over the panes: confirmation, details, logs, help."""
