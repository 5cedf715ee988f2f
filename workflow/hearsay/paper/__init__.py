"""Tables, figures and the result page; reads score files and run records only."""
