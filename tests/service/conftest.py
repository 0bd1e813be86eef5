"""Being here puts this folder on the path of every test below it: they import `activation_examples`, `graph_models`, `kinds_of_models` and `keras_layers`."""
