"""Being here puts this folder on the path of every test below it: they import `model_files`."""
