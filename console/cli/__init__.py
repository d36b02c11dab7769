"""The ``watchfloor`` command: one command from the shell, without textual."""
