"""The report of `asng benchmark`: a table and a figure each problem."""
