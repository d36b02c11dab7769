"""The rules, one file for each family. Each has ``check(inputs, now)`` and says what it looks at."""
