"""Being here puts this folder on the path of every test below it: they import `activation_examples`."""
