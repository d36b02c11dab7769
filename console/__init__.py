"""The top floor: how the parts are composed and what an operator runs."""
