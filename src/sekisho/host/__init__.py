"""What the keeper says of one host goes in; its switch made right, and receipts, come out."""
