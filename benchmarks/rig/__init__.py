"""Tools of all benchmarks: the method, the service under measurement, models, pictures and load."""
