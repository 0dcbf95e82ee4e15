"""The door for programs: HTTP requests in, answers of the keeper out."""
