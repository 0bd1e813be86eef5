"""What every benchmark is made with: the method, the service under measurement, models, pictures and load."""
