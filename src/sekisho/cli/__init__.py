"""The door for people: commands in, answers of the API out."""
