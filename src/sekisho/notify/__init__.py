"""TELL: notices in, letters out to mail, chat and webhooks, each once, in the reader's language."""
