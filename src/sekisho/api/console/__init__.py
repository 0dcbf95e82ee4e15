"""The door for people: a browser's requests in, pages out, decided by the same keeper as the API."""
