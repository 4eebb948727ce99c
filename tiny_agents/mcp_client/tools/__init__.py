"""Tools: the table of names, Python functions, and how a changed tool is noticed."""
