"""A small living fleet to look at and to practise on."""
