"""Write the data set with the labels that people decided on: to a file, a folder or the Hugging Face hub."""
