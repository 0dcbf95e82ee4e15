"""Act: desired minus actual is changes; receipts come back."""
