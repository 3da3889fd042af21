"""Finds what is wrong with data sets before they are trained on: `python -m data.check`."""
