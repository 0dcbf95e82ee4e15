"""How members are: targets in, a word at every change of mind out. Asked on one asyncio loop."""
